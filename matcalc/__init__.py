"""matcalc: matrix-derivative rules written by hand, and the tool that verifies them.

Importing this package imports no array library; `matcalc.verify` brings in NumPy and JAX.
"""

from typing import TYPE_CHECKING, Any

from matcalc.array import Array
from matcalc.domain import Domain
from matcalc.rule import Linearization, Rule
from matcalc.source import Source
from matcalc.verdict import Evidence, Status, Verdict

if TYPE_CHECKING:
    from matcalc.checking import check
    from matcalc.claims import check_claim
    from matcalc.drawing import draw

__all__ = [
    "Array",
    "Domain",
    "Evidence",
    "Linearization",
    "Rule",
    "Source",
    "Status",
    "Verdict",
    "__version__",
    "check",
    "check_claim",
    "draw",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`check`, `check_claim` and `draw`, brought in when they are first asked for, since they need NumPy, and JAX perhaps."""
    if name == "check":
        from matcalc.checking import check

        return check
    if name == "check_claim":
        from matcalc.claims import check_claim

        return check_claim
    if name == "draw":
        from matcalc.drawing import draw

        return draw
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
