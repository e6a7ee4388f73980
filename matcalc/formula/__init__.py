"""The language of statements and claims: text in four spellings, typed expressions, values on every kind of array.

    >>> from matcalc.formula import parse, spell, variable
    >>> formula = parse("norm(A @ x - y)**2", [variable("A: real(m, n)"), variable("x: real(n)"), variable("y: real(m)")])
    >>> spell(formula.expr, "unicode")
    '‖A x - y‖²'

What reads text is imported when it is first asked for, so that expressions alone cost no parser.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from matcalc.formula.expression import Expr, FormulaError, OpenSizeError, ShapeError
from matcalc.formula.names import Variable, from_sample, variable
from matcalc.formula.printing import spell
from matcalc.formula.size import Size
from matcalc.formula.vocabulary import SPELLINGS, Spelling

if TYPE_CHECKING:
    from matcalc.formula.parsing import Pair, Parsed, echo, parse, parse_pair

__all__ = [
    "SPELLINGS",
    "Expr",
    "FormulaError",
    "OpenSizeError",
    "Pair",
    "Parsed",
    "ShapeError",
    "Size",
    "Spelling",
    "Variable",
    "echo",
    "from_sample",
    "parse",
    "parse_pair",
    "spell",
    "variable",
]


def __getattr__(name: str) -> Any:
    if name in {"Pair", "Parsed", "echo", "parse", "parse_pair"}:
        return getattr(import_module("matcalc.formula.parsing"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
