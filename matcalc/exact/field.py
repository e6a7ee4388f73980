"""Residues modulo a prime: an identity of rational functions holds for them exactly, or fails at nearly every point.

Each array carries a bound on the degree of its entries as rational functions of the random numbers they were made from. A
polynomial of degree d that is not zero vanishes at a random point with probability at most d/p (Schwartz 1980, Zippel 1979),
which turns an equality seen at random points into a proof up to a probability that is known.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from matcalc.exact.base import Exact, NoExactFormError, UndefinedPointError, simple_fraction
from matcalc.exact.dual import Dual

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from numpy.typing import NDArray

PRIME = 2**31 - 249
"""Products of two residues fit into 64 bits. It is 3 modulo 4, so that a^((p+1)/4) is the root of a square a that is itself a
square, which makes √(a b) = √a √b. It is the largest such prime for which 2, 3, 5, 7, 11 and 13 have roots, as constants do."""
SMALL = 2**15
"Constants up to this size are taken for integers when they are compared."


Factors = dict[int, tuple[int, int]]
"The factors of a denominator, each named by the residue that was divided by, with its power and its degree."


class Degree(NamedTuple):
    """Entries are N/D with polynomials N of degree at most `top`, and one D common to the array, known by its factors.

    `roots` are the numbers whose square roots took part; a root of a polynomial counts with half of its degree.
    """

    top: int = 0
    factors: Factors = {}  # noqa: RUF012  (never changed)
    roots: frozenset[int] = frozenset()

    @property
    def bottom(self) -> int:
        """The degree of the denominator."""
        return sum(power * degree for power, degree in self.factors.values())

    def plus(self, other: Degree) -> Degree:
        """Of a sum, or of both in one array: over the least common multiple of the denominators."""
        if self.factors == other.factors:
            return Degree(max(self.top, other.top), self.factors, self.roots | other.roots)
        shared = dict(self.factors)
        for name, (power, degree) in other.factors.items():
            known = shared.get(name, (0, 0))
            shared[name] = (max(power, known[0]), max(degree, known[1]))
        common = Degree(0, shared)
        top = max(self.top + common.bottom - self.bottom, other.top + common.bottom - other.bottom)
        return Degree(top, shared, self.roots | other.roots)

    def times(self, other: Degree) -> Degree:
        """Of a product."""
        factors = dict(self.factors)
        for name, (power, degree) in other.factors.items():
            known = factors.get(name, (0, 0))
            factors[name] = (power + known[0], max(degree, known[1]))
        return Degree(self.top + other.top, factors, self.roots | other.roots)

    def inverse(self, residues: frozenset[int]) -> Degree:
        """Of the reciprocals of these entries: their common denominator is the product of all numerators."""
        if not self.top:
            return Degree(self.bottom, {}, self.roots)
        return Degree(self.bottom + (len(residues) - 1) * self.top, dict.fromkeys(residues, (1, self.top)), self.roots)

    def root(self, radicands: frozenset[int]) -> Degree:
        """Of the square roots of N/D, which are √(N D) / D; a root of a constant is a constant."""
        if not self.top and not self.factors:
            return self
        return Degree((self.top + self.bottom + 1) // 2, self.factors, self.roots | radicands)

    @property
    def chance(self) -> float:
        """Bound on the probability that such a number is zero at a random point where it is defined, without being zero.

        With k square roots, the product of its 2^k conjugates is a polynomial of 2^k times the degree; and only one point in 2^k
        has all the roots.
        """
        return min(1.0, 4.0 ** len(self.roots) * self.top / max(PRIME - self.bottom, 1))


CONSTANT = Degree()


class Field(Exact):
    """Residues modulo `PRIME`, and a bound on their degree."""

    def __init__(self, entries: Any, degree: Degree = CONSTANT) -> None:
        self.entries: NDArray[np.int64] = np.asarray(entries, dtype=np.int64)
        self.degree = degree

    @classmethod
    def random(cls, rng: np.random.Generator, shape: tuple[int, ...]) -> Self:
        """Independent random residues: the variables, each of degree one."""
        return cls(rng.integers(0, PRIME, shape), Degree(1))

    @classmethod
    def constant(cls, numbers: Any) -> Self:
        array = np.asarray(numbers)
        if array.dtype.kind in "biu":
            return cls(array.astype(np.int64) % PRIME)
        return cls(np.array([_residue(x) for x in array.ravel().tolist()], dtype=np.int64).reshape(array.shape))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.entries.shape

    @property
    def plain(self) -> Exact:
        return self

    def rearranged(self, move: Callable[[NDArray[Any]], NDArray[Any]]) -> Self:
        return type(self)(move(self.entries), self.degree)

    @classmethod
    def joined(cls, arrays: Sequence[Any], join: Callable[..., NDArray[Any]]) -> Self:
        degree = CONSTANT
        for array in arrays:
            degree = degree.plus(array.degree)
        return cls(join(*(a.entries for a in arrays)), degree)

    def equals(self, other: Any) -> NDArray[np.bool_]:
        return np.asarray(self.entries == other.entries)

    def compare(self, other: Any) -> NDArray[np.int64]:
        small = [np.where(a.entries > PRIME // 2, a.entries - PRIME, a.entries) for a in (self, other)]
        if any(a.degree != CONSTANT for a in (self, other)) or any(np.any(np.abs(a) > SMALL) for a in small):
            raise NoExactFormError("a comparison by size has no exact form in a prime field")
        return np.sign(small[0] - small[1])

    def total(self, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Self:
        return type(self)(np.sum(self.entries, axis=axis, keepdims=keepdims) % PRIME, self.degree)

    def __neg__(self) -> Self:
        return type(self)(-self.entries % PRIME, self.degree)

    def plus(self, other: Any) -> Self:
        return type(self)((self.entries + other.entries) % PRIME, self.degree.plus(other.degree))

    def times(self, other: Any) -> Self:
        return type(self)(self.entries * other.entries % PRIME, self.degree.times(other.degree))

    def over(self, other: Any) -> Self:
        if not np.all(other.entries):
            raise UndefinedPointError("a division by zero")
        reciprocals = [pow(b, -1, PRIME) for b in other.entries.ravel().tolist()]
        inverse = np.array(reciprocals, dtype=np.int64).reshape(other.shape)
        return type(self)(
            self.entries * inverse % PRIME, self.degree.times(other.degree.inverse(frozenset(other.entries.ravel().tolist())))
        )

    def matrix_times(self, other: Any) -> Self:
        high, low = np.divmod(self.entries, 1 << 16)  # in halves, so that sums of products do not overflow
        product = ((high @ other.entries % PRIME << 16) + low @ other.entries) % PRIME
        return type(self)(product, self.degree.times(other.degree))

    def function(self, name: str) -> Self:
        if name != "sqrt":
            raise NoExactFormError(f"{name} has no exact form in a prime field")
        squares = self.entries.ravel().tolist()
        roots = [pow(a, (PRIME + 1) // 4, PRIME) for a in squares]
        if any(r * r % PRIME != a for r, a in zip(roots, squares, strict=True)):
            raise UndefinedPointError("a square root that does not exist")
        return type(self)(np.array(roots, dtype=np.int64).reshape(self.shape), self.degree.root(frozenset(squares)))


def _residue(number: Any) -> int:
    """A number modulo the prime."""
    if isinstance(number, (int, Fraction)):
        exact = Fraction(number)
    else:
        found = simple_fraction(float(number))
        if found is None:
            raise NoExactFormError(f"the constant {number!r} is no simple fraction, so that it has no exact form in a prime field")
        exact = found
    return exact.numerator * pow(exact.denominator, -1, PRIME) % PRIME


class FieldDual(Dual):
    """Dual numbers over the prime field."""

    base = Field
