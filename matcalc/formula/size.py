"""Sizes of arrays: polynomials with integer coefficients in the names of dimensions, as in n, 3, m p, m + n."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

Monomial = tuple[str, ...]


@dataclass(frozen=True)
class Size:
    """A number of rows or columns. Two are equal when they are equal for all values of their names."""

    terms: tuple[tuple[Monomial, int], ...]

    @classmethod
    def of(cls, size: Size | str | int) -> Size:
        """A size from a name, a number, or a size."""
        if isinstance(size, Size):
            return size
        if isinstance(size, int):
            return cls((((), size),)) if size else cls(())
        return cls((((size,), 1),))

    @cached_property
    def names(self) -> frozenset[str]:
        """The dimensions in it."""
        return frozenset(name for monomial, _ in self.terms for name in monomial)

    @property
    def number(self) -> int | None:
        """Its value, if it is the same everywhere."""
        if self.names:
            return None
        return self.terms[0][1] if self.terms else 0

    @property
    def name(self) -> str | None:
        """The one dimension that it is, if it is one."""
        match self.terms:
            case (((name,), 1),):
                return name
            case _:
                return None

    def __add__(self, other: Size | int) -> Size:
        return _collected([*self.terms, *Size.of(other).terms])

    def __sub__(self, other: Size | int) -> Size:
        return self + Size.of(other) * -1

    def __mul__(self, other: Size | int) -> Size:
        return _collected([((*a, *b), p * q) for a, p in self.terms for b, q in Size.of(other).terms])

    def at(self, sizes: Mapping[str, int]) -> int:
        """Its value where the dimensions have these; KeyError names one that has none."""
        value = 0
        for monomial, coefficient in self.terms:
            product = coefficient
            for name in monomial:
                product *= sizes[name]
            value += product
        return value

    def replaced(self, by: Mapping[str, Size]) -> Size:
        """The same with some dimensions replaced by sizes."""
        if not self.names & by.keys():
            return self
        value = Size(())
        for monomial, coefficient in self.terms:
            product = Size.of(coefficient)
            for name in monomial:
                product *= by.get(name, Size.of(name))
            value += product
        return value

    def __str__(self) -> str:
        """As in `n`, `3`, `2 m n + 1`."""
        words = [" ".join([*([str(c)] if c != 1 or not m else []), *m]) for m, c in self.terms]
        return " + ".join(words).replace("+ -", "- ") or "0"


def _collected(terms: list[tuple[Monomial, int]]) -> Size:
    total: dict[Monomial, int] = {}
    for monomial, coefficient in terms:
        key = tuple(sorted(monomial))
        total[key] = total.get(key, 0) + coefficient
    return Size(tuple(sorted(((m, c) for m, c in total.items() if c), key=lambda term: (-len(term[0]), term[0]))))


ONE = Size.of(1)
