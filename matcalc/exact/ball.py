"""Balls of real numbers (Arb, by python-flint): every result is certain to contain the true number, to some seventy digits.

Two balls that do not meet prove that two numbers differ; balls that meet and are narrow show that the numbers agree so far.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import flint
import numpy as np

from matcalc.exact.base import Exact, NoExactFormError, UndecidedError, UndefinedPointError, near_fraction, simple_fraction
from matcalc.exact.dual import Dual

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from typing import Self

    from numpy.typing import NDArray

PRECISION = 256
"Bits that are carried where nothing else is asked."
ROUNDED_ULPS = 4
"Units in the last place by which a float may miss the number it stands for, when it was computed."
CLOSED_LIMIT = 2**30
"Simpler fractions only are looked for inside closed forms, of which there are several."


def working_precision(bits: int = PRECISION) -> AbstractContextManager[Any]:
    """A context in which balls are computed to so many bits."""
    return flint.ctx.workprec(bits)


class Ball(Exact):
    """Balls, as an array of objects."""

    def __init__(self, entries: Any) -> None:
        self.entries: NDArray[Any] = np.asarray(entries, dtype=object)

    @classmethod
    def random(cls, rng: np.random.Generator, shape: tuple[int, ...]) -> Self:
        """Numbers of both signs with magnitudes from 1/4 to 7/4, exact."""
        return cls(_BALL((0.25 + 1.5 * rng.random(shape)) * rng.choice([-1.0, 1.0], shape)))

    @classmethod
    def constant(cls, numbers: Any) -> Self:
        return cls(_CONSTANT(np.asarray(numbers, dtype=object)))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.entries.shape

    @property
    def plain(self) -> Exact:
        return self

    def rearranged(self, move: Callable[[NDArray[Any]], NDArray[Any]]) -> Self:
        return type(self)(move(self.entries))

    @classmethod
    def joined(cls, arrays: Sequence[Any], join: Callable[..., NDArray[Any]]) -> Self:
        return cls(join(*(a.entries for a in arrays)))

    def compare(self, other: Any) -> NDArray[np.int64]:
        return np.asarray(_COMPARED(self.entries, other.entries), dtype=np.int64)

    def equals(self, other: Any) -> NDArray[np.bool_]:
        return np.asarray(_EQUAL(self.entries, other.entries), dtype=np.bool_)

    def total(self, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Self:
        zero: Any = flint.arb(0)
        return type(self)(np.sum(self.entries, axis=axis, keepdims=keepdims, initial=zero))

    def __neg__(self) -> Self:
        return type(self)(-self.entries)

    def plus(self, other: Any) -> Self:
        return type(self)(self.entries + other.entries)

    def times(self, other: Any) -> Self:
        return type(self)(self.entries * other.entries)

    def over(self, other: Any) -> Self:
        if any(b.contains(0) for b in other.entries.ravel()):
            raise UndefinedPointError("a division by what may be zero")
        return type(self)(self.entries / other.entries)

    def matrix_times(self, other: Any) -> Self:
        if self.shape[-1] == 0:
            return self.constant(np.zeros(self.shape, dtype=int) @ np.zeros(other.shape, dtype=int))
        return type(self)(self.entries @ other.entries)

    def function(self, name: str) -> Self:
        if name not in _FUNCTIONS:
            raise NoExactFormError(f"{name} has no exact form in balls")
        result = type(self)(_FUNCTIONS[name](self.entries))
        if not all(b.is_finite() for b in result.entries.ravel()):
            raise UndefinedPointError(f"{name} of what it may not be defined for")
        return result

    def ceiling(self) -> NDArray[np.int64]:
        """Each entry rounded up, as integers; raises NoExactFormError where that cannot be told."""
        found = [b.ceil().unique_fmpz() for b in self.entries.ravel()]
        if any(n is None for n in found):
            raise UndecidedError("ceil of a ball around an integer cannot be told")
        return np.array([int(n) for n in found], dtype=np.int64).reshape(self.shape)


class BallDual(Dual):
    """Dual numbers over balls."""

    base = Ball


def _compared(a: Any, b: Any) -> int:
    if a is b:  # one ball stands for one number
        return 0
    if a < b:
        return -1
    if a > b:
        return 1
    if a.is_exact() and b.is_exact():
        return 0
    raise UndecidedError("a comparison of balls that meet cannot be told")


def _equal(a: Any, b: Any) -> bool:
    return _compared(a, b) == 0


def _constant(number: Any) -> Any:
    """A number as a ball: a float as the fraction or closed form it stands for, or else with the numbers that round to it."""
    if isinstance(number, flint.arb):
        return number
    if isinstance(number, (int, Fraction)):
        return _ratio(Fraction(number))
    found = simple_fraction(float(number))
    return _ratio(found) if found is not None else _closed_form(float(number), flint.ctx.prec)


def _ratio(fraction: Fraction) -> Any:
    return flint.arb(fraction.numerator) / fraction.denominator if fraction.denominator > 1 else flint.arb(fraction.numerator)


@lru_cache(maxsize=1024)
def _closed_form(x: float, bits: int) -> Any:
    """The square root, logarithm or multiple of π that a float is nearest to, or a ball of all numbers it may stand for."""
    with working_precision(bits):
        around = flint.arb(x, ROUNDED_ULPS * math.ulp(x))
        size, sign = abs(x), 1 if x > 0 else -1
        candidates = [(sign * form(fraction)) for undo, form in _CLOSED_FORMS if (fraction := _near(undo, size)) is not None]
        candidates += [form(fraction) for undo, form in _LOGARITHMS if (fraction := _near(undo, x)) is not None]
        return next((c for c in candidates if around.contains(c)), around)


def _near(undo: Callable[[float], float], x: float) -> Fraction | None:
    try:
        y = undo(x)
    except OverflowError:
        return None
    return near_fraction(y, ulps=64, limit=CLOSED_LIMIT) if math.isfinite(y) and y > 0 else None


_CLOSED_FORMS: list[tuple[Callable[[float], float], Callable[[Fraction], Any]]] = [
    (lambda x: x * x, lambda q: _ratio(q).sqrt()),
    (lambda x: x / math.pi, lambda q: _ratio(q) * flint.arb.pi()),
    (lambda x: x * math.pi, lambda q: _ratio(q) / flint.arb.pi()),
    (lambda x: x * x / math.pi, lambda q: (_ratio(q) * flint.arb.pi()).sqrt()),
    (lambda x: x * x * math.pi, lambda q: (_ratio(q) / flint.arb.pi()).sqrt()),
]
"How a positive constant may come from a simple fraction: what finds the fraction, and what makes the constant of it."
_LOGARITHMS: list[tuple[Callable[[float], float], Callable[[Fraction], Any]]] = [
    (math.exp, lambda q: _ratio(q).log()),
    (lambda x: math.exp(x) / math.pi, lambda q: (_ratio(q) * flint.arb.pi()).log()),
    (lambda x: math.exp(2 * x) / math.pi, lambda q: (_ratio(q) * flint.arb.pi()).log() / 2),
]
"The same for constants of either sign."

_BALL = np.frompyfunc(flint.arb, 1, 1)
_CONSTANT = np.frompyfunc(_constant, 1, 1)
_COMPARED = np.frompyfunc(_compared, 2, 1)
_EQUAL = np.frompyfunc(_equal, 2, 1)
_FUNCTIONS: dict[str, Any] = {
    **{
        name: np.frompyfunc(getattr(flint.arb, name), 1, 1)
        for name in ("sqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "atan", "erf", "erfc")
    },
    "gammaln": np.frompyfunc(flint.arb.lgamma, 1, 1),
    "digamma": np.frompyfunc(flint.arb.digamma, 1, 1),
    "trigamma": np.frompyfunc(lambda x: flint.arb(2).zeta(x), 1, 1),  # the Hurwitz zeta function at 2
}
