"""Formulas in a document: how their texts are prepared for the language, and how expressions are typeset."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from unicodedata import normalize

from matcalc.formula import spell
from matcalc.formula.expression import Expr
from matcalc.formula.names import ACCENTS, LETTERS, SUBSCRIPTS, Variable, as_tex
from matcalc.formula.size import Size

_SIGMOID = re.compile(r"(?:σ|\\sigma)(?=\s*(?:\\left\s*)?[(])")


def plain(text: str) -> str:
    r"""A name as it is kept: W₁, W_1, `W_{1}` are W1, δ and `\delta` are delta, ŷ is y_hat."""
    bare = normalize("NFD", text.strip()).lstrip("\\").replace("{", "").replace("}", "")
    accent = next((word for word, mark in ACCENTS.items() if mark in bare), "")
    bare = "".join(LETTERS.get(c, SUBSCRIPTS.get(c, c)) for c in bare if c not in ACCENTS.values())
    bare = re.sub(r"_(?=\d)", "", bare)
    return f"{bare}_{accent}" if accent else bare


def prepared(text: str, known: Collection[str]) -> str:
    """The text as the language reads it: accents apart from their letters, σ(...) as the sigmoid where nobody declared a σ."""
    text = normalize("NFD", text)
    return text if "sigma" in known else _SIGMOID.sub("sigmoid", text)


def input_of(name: str, rows: Size, cols: Size) -> Variable:
    """A name of this shape; NumPy would hold a vector with one axis."""
    return Variable(name, rows, cols, one_dimensional=rows.number != 1 and cols.number == 1)


def tex(expr: Expr, handles: Mapping[str, str] | None = None) -> str:
    """An expression in TeX, with TeX of one's own for some of its names."""
    text = spell(expr, "latex")
    for handle, instead in sorted((handles or {}).items(), key=lambda pair: -len(pair[0])):
        text = text.replace(as_tex(handle), f"{{{instead}}}")
    return text


def folded(expr: Expr, definitions: Iterable[tuple[str, Expr]]) -> Expr:
    """The expression with names for the parts of it that have one."""
    by = {whole: Expr("name", (), whole.rows, whole.cols, name) for name, whole in definitions}
    done: dict[Expr, Expr] = {}
    for node in expr.nodes():
        done[node] = by[node] if node in by else node.with_args(tuple(done[arg] for arg in node.args))
    return done[expr]
