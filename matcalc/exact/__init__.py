"""Exact arithmetic behind the words of `matcalc.array`: a rule runs on these arrays as it stands, and nothing is rounded away.

`Field` holds residues modulo a prime, for rational functions and square roots; `Ball` holds balls of real numbers, for the others.
`FieldDual` and `BallDual` are dual numbers over them: a function called with them gives its value and its exact differential.
No framework is needed for this, and none is imported.
"""

from matcalc.exact.ball import Ball, BallDual, working_precision
from matcalc.exact.base import Exact, NoExactFormError, UndecidedError, UndefinedPointError, simple_fraction
from matcalc.exact.dual import Dual
from matcalc.exact.field import PRIME, Degree, Field, FieldDual

__all__ = [
    "PRIME",
    "Ball",
    "BallDual",
    "Degree",
    "Dual",
    "Exact",
    "Field",
    "FieldDual",
    "NoExactFormError",
    "UndecidedError",
    "UndefinedPointError",
    "simple_fraction",
    "working_precision",
]
