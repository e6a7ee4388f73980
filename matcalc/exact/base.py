"""What all exact arrays share: operators and shapes, told once in terms of a few primitives of each kind."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from numpy.typing import NDArray

SIMPLE = 2**36
"A fraction is simple if its numerator times its denominator is at most this: a float meets one by chance once in 100 000 times."
LITERAL_DIGITS = 10
"A float with at most so many decimal digits was written down like that."
SHORT_BITS = 24
"A float whose mantissa has at most so many bits is exact as it is."


class NoExactFormError(Exception):
    """An operation has no exact form in the arithmetic it was asked of; the message is a sentence that names it."""


class UndecidedError(NoExactFormError):
    """A comparison of balls that meet, which more digits might decide."""


class UndefinedPointError(ArithmeticError):
    """An operation is not defined at this point, though it is at others: a division by zero, a root that does not exist."""


def simple_fraction(x: float) -> Fraction | None:
    """The fraction that a float stands for (1/3, 0.044715), or None if it is no simple one (the square root of two).

    Raises NoExactFormError for what is not finite.
    """
    if not math.isfinite(x):
        raise NoExactFormError(f"the constant {x} has no exact form")
    exact = Fraction(x)
    if exact.denominator == 1 or abs(exact.numerator).bit_length() <= SHORT_BITS:
        return exact
    if len(Decimal(repr(x)).normalize().as_tuple().digits) <= LITERAL_DIGITS:
        return Fraction(repr(x))
    return near_fraction(x, ulps=1)


@lru_cache(maxsize=4096)
def near_fraction(x: float, ulps: int, limit: int = SIMPLE) -> Fraction | None:
    """The first simple convergent of the continued fraction of `x` within so many units in its last place, or None."""
    exact, tolerance = Fraction(x), ulps * Fraction(math.ulp(x))
    numerators, denominators, rest = (0, 1), (1, 0), exact
    while True:
        whole = math.floor(rest)
        numerators = (numerators[1], whole * numerators[1] + numerators[0])
        denominators = (denominators[1], whole * denominators[1] + denominators[0])
        if abs(numerators[1]) * denominators[1] > limit:
            return None
        found = Fraction(numerators[1], denominators[1])
        if abs(exact - found) <= tolerance:
            return found
        rest = 1 / (rest - whole)


class Exact(ABC):
    """An array of exact numbers; its dtype is its own class. Comparisons answer with NumPy's truth values, or refuse."""

    __array_ufunc__ = None  # so that NumPy leaves `array * exact` to this class
    __hash__ = None  # type: ignore[assignment]  # as for every array, == compares entries
    device: ClassVar[str] = "cpu"

    # --- what each kind says for itself ---------------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def constant(cls, numbers: Any) -> Self:
        """Numbers, nested lists or a NumPy array of them, as an array of this kind; a float is taken for what it stands for."""

    @classmethod
    @abstractmethod
    def random(cls, rng: np.random.Generator, shape: tuple[int, ...]) -> Self:
        """Independent random numbers."""

    @abstractmethod
    def rearranged(self, move: Callable[[NDArray[Any]], NDArray[Any]]) -> Self:
        """The same entries elsewhere: `move` reshapes, permutes, selects or repeats."""

    @classmethod
    @abstractmethod
    def joined(cls, arrays: Sequence[Any], join: Callable[..., NDArray[Any]]) -> Self:
        """Entries of several arrays in one: `join` takes as many NumPy arrays and concatenates or selects."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""

    @property
    @abstractmethod
    def plain(self) -> Exact:
        """The numbers without their tangents: what decides where two are compared."""

    @abstractmethod
    def compare(self, other: Any) -> NDArray[np.int64]:
        """-1, 0 or 1 for each entry below, equal to or above the other's, after broadcasting.

        Raises NoExactFormError where that cannot be told.
        """

    @abstractmethod
    def equals(self, other: Any) -> NDArray[np.bool_]:
        """Whether each entry is equal to the other's; raises NoExactFormError where that cannot be told."""

    @abstractmethod
    def total(self, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Self:
        """Sum of all entries, or along axes."""

    @abstractmethod
    def function(self, name: str) -> Self:
        """A function of each entry, by its name in the array standard (or in SciPy, for those the standard lacks)."""

    @abstractmethod
    def __neg__(self) -> Self: ...
    @abstractmethod
    def plus(self, other: Any) -> Self:
        """Sum, after broadcasting."""

    @abstractmethod
    def times(self, other: Any) -> Self:
        """Product of entries, after broadcasting."""

    @abstractmethod
    def over(self, other: Any) -> Self:
        """Quotient of entries, after broadcasting; raises UndefinedPointError where the other is zero."""

    @abstractmethod
    def matrix_times(self, other: Any) -> Self:
        """Product of matrices or vectors."""

    # --- what follows ---------------------------------------------------------------------------------------------------------

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        del api_version
        return import_module("matcalc.exact.words")

    @property
    def dtype(self) -> Any:
        """The class: what new arrays of the same kind are made of."""
        return type(self)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)

    @property
    def mT(self) -> Self:  # noqa: N802  (the array standard's name)
        """Every matrix transposed."""
        return self.rearranged(lambda a: np.swapaxes(a, -1, -2))

    @property
    def T(self) -> Self:  # noqa: N802  (the same)
        """The matrix transposed."""
        return self.mT

    def __getitem__(self, key: Any) -> Self:
        return self.rearranged(lambda a: a[key])

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of shape {self.shape}>"

    def coerced(self, other: Any) -> Self:
        """Another operand as an array of this kind: a number becomes a constant."""
        return other if isinstance(other, type(self)) else self.constant(other)

    def __add__(self, other: Any) -> Self:
        return self.plus(self.coerced(other))

    def __radd__(self, other: Any) -> Self:
        return self.coerced(other).plus(self)

    def __sub__(self, other: Any) -> Self:
        return self.plus(-self.coerced(other))

    def __rsub__(self, other: Any) -> Self:
        return self.coerced(other).plus(-self)

    def __mul__(self, other: Any) -> Self:
        return self.times(self.coerced(other))

    def __rmul__(self, other: Any) -> Self:
        return self.coerced(other).times(self)

    def __truediv__(self, other: Any) -> Self:
        return self.over(self.coerced(other))

    def __rtruediv__(self, other: Any) -> Self:
        return self.coerced(other).over(self)

    def __matmul__(self, other: Any) -> Self:
        return self.matrix_times(self.coerced(other))

    def __rmatmul__(self, other: Any) -> Self:
        return self.coerced(other).matrix_times(self)

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return self.times(self.constant(self.signs()))

    def __pow__(self, exponent: Any) -> Self:
        """Integer powers by multiplication, halves by square roots, all others as exp(exponent * log(base))."""
        if isinstance(exponent, Exact):
            return self.coerced(exponent).times(self.function("log")).function("exp")
        twice = 2 * Fraction(float(exponent))  # fails for an array of exponents, as no rule has one
        if twice.denominator > 1:
            return self ** self.coerced(float(exponent))
        root = self.function("sqrt") if twice.numerator % 2 else self
        power = _integer_power(root, abs(twice.numerator) if root is not self else abs(twice.numerator) // 2)
        return power if twice >= 0 else self.constant(1).over(power)

    def __rpow__(self, base: Any) -> Self:
        return self.coerced(base) ** self

    def signs(self) -> NDArray[np.int64]:
        """-1, 0 or 1: the sign of each entry; raises NoExactFormError where it cannot be told."""
        plain = self.plain
        return plain.compare(plain.constant(0))

    def _compared(self, other: Any) -> NDArray[np.int64]:
        plain = self.plain
        return plain.compare(plain.coerced(other.plain if isinstance(other, Exact) else other))

    def __lt__(self, other: Any) -> NDArray[np.bool_]:
        return self._compared(other) < 0

    def __le__(self, other: Any) -> NDArray[np.bool_]:
        return self._compared(other) <= 0

    def __gt__(self, other: Any) -> NDArray[np.bool_]:
        return self._compared(other) > 0

    def __ge__(self, other: Any) -> NDArray[np.bool_]:
        return self._compared(other) >= 0

    def __eq__(self, other: object) -> Any:
        plain = self.plain
        return plain.equals(plain.coerced(other.plain if isinstance(other, Exact) else other))

    def __ne__(self, other: object) -> Any:
        return ~(self == other)

    def __bool__(self) -> bool:
        return bool(self != 0)

    def __float__(self) -> float:
        raise NoExactFormError("a conversion to float has no exact form")


def _integer_power(x: Any, exponent: int) -> Any:
    """By repeated squaring."""
    result = x.constant(np.ones(x.shape, dtype=int))
    while exponent:
        if exponent % 2:
            result = result * x
        exponent //= 2
        x = x * x if exponent else x
    return result
