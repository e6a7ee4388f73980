"""Sizes that are not known yet: what must be equal is made equal, and what cannot be decided now is decided at the end.

An unknown size is a `Size` whose name starts with `?`. Two sizes that are polynomials, as the rows of a Kronecker product are, may
leave several ways open; such an equation waits until the others have settled enough of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from matcalc.formula.expression import Expr
from matcalc.formula.size import ONE, Size

MAX_TERMS = 64
"Terms of a size, above which a formula is given up."
MAX_FACTORS = 7
"Dimensions that are multiplied in a size: what is a Kronecker product of more is never computed."


@dataclass
class Unknowns:
    """The unknown sizes of a formula, with what is known of them by now."""

    bound: dict[str, Size] = field(default_factory=dict[str, Size])
    waiting: list[tuple[Size, Size, Any]] = field(default_factory=list[tuple[Size, Size, Any]])
    count: int = 0
    proper: set[str] = field(default_factory=set[str])
    "Unknowns that are not 1: the sizes of what is taken for a vector or a matrix."
    place: Any = None
    "Where in the text the present equation comes from."

    def new(self, *, proper: bool = False) -> Size:
        """A size of which nothing is known, or only that it is not 1."""
        self.count += 1
        if proper:
            self.proper.add(f"?{self.count}")
        return Size.of(f"?{self.count}")

    def copied(self) -> Unknowns:
        """What is known by now, apart from what becomes known later."""
        return replace(self, bound=dict(self.bound), waiting=list(self.waiting), proper=set(self.proper))

    def known(self, size: Size) -> Size:
        """The size with everything put in that is known of it."""
        if not self.count:
            return size
        passed: list[str] = []
        while (name := size.name) is not None and name in self.bound:
            passed.append(name)
            size = self.bound[name]
        while any(name in self.bound for name in size.names):
            size = size.replaced({name: self.bound[name] for name in size.names if name in self.bound})
        self.bound.update(dict.fromkeys(passed, size))  # so that no chain of names is followed twice
        return size

    def same(self, a: Size, b: Size) -> bool:
        """Make two sizes equal; False where they cannot be."""
        if a == b:
            return True
        if not self.count:
            return False
        a, b = self.known(a), self.known(b)
        if a == b:
            return True
        solved = _named(a, b) or _named(b, a) or _solved(a - b)
        if solved is not None:
            return self._bind(*solved)
        if not open_names(a) | open_names(b) or _never_equal(a, b):
            return False
        self.waiting.append((a, b, self.place))
        return True

    def _bind(self, name: str, size: Size) -> bool:
        if name in self.proper:
            if size == ONE:
                return False
            if size.name is not None:
                self.proper.add(size.name)
        self.bound[name] = size
        return True

    def settle(self) -> Any:
        """Decide what waits. What is returned is the place of an equation that cannot hold, or None."""
        while self.waiting:
            waiting, self.waiting = self.waiting, []
            before = len(self.bound)
            for a, b, self.place in waiting:
                if not self.same(a, b):
                    return self.place or True
            if len(self.bound) == before and len(self.waiting) == len(waiting):
                break
        return None

    def top(self, expr: Expr) -> Expr:
        """An expression whose own shape has everything put in that is known."""
        if not self.count or not any(name[0] == "?" for name in expr.rows.names | expr.cols.names):
            return expr
        return replace(expr, rows=self.known(expr.rows), cols=self.known(expr.cols))

    def everywhere(self, expr: Expr) -> Expr:
        """An expression all of whose shapes have everything put in that is known."""
        if not self.count:
            return expr
        done: dict[Expr, Expr] = {}
        for node in expr.nodes():
            args = tuple(done[arg] for arg in node.args)
            data = self.known(node.data) if isinstance(node.data, Size) else node.data
            built = replace(node, args=args, rows=self.known(node.rows), cols=self.known(node.cols), data=data)
            done[node] = built if built != node else node
        return done[expr]


def open_names(size: Size) -> frozenset[str]:
    """The unknowns in a size."""
    return frozenset(name for name in size.names if name[0] == "?")


def _named(a: Size, b: Size) -> tuple[str, Size] | None:
    """The unknown that a size is, and the other one."""
    return (a.name, b) if a.name is not None and a.name[0] == "?" and a.name not in b.names else None


def _solved(difference: Size) -> tuple[str, Size] | None:
    """The one unknown that a vanishing difference contains in one term, where what it must be is a size again."""
    unknowns = open_names(difference)
    with_it = [(monomial, c) for monomial, c in difference.terms if unknowns & set(monomial)]
    if len(unknowns) != 1 or len(with_it) != 1:
        return None
    (unknown,) = unknowns
    monomial, factor = with_it[0]
    beside = list(monomial)
    beside.remove(unknown)
    quotient = _quotient(Size(tuple(term for term in difference.terms if term != with_it[0])) * -1, beside, factor)
    return None if unknown in beside or quotient is None else (unknown, quotient)


def _quotient(size: Size, names: list[str], factor: int) -> Size | None:
    """A size divided by a product of dimensions and a number, where that is a positive size again."""
    quotient = Size(())
    for monomial, coefficient in size.terms:
        left = list(monomial)
        for name in names:
            if name not in left:
                return None
            left.remove(name)
        if coefficient % factor:
            return None
        quotient += Size(((tuple(left), coefficient // factor),))
    return quotient if quotient.terms and (quotient.number is None or quotient.number > 0) else None


def _never_equal(a: Size, b: Size) -> bool:
    """Whether a difference has coefficients of one sign only, so that no positive sizes make it zero."""
    signs = {coefficient > 0 for _, coefficient in (a - b).terms}
    return len(signs) == 1


def too_large(size: Size) -> bool:
    """Whether a size has grown beyond what anybody means."""
    return len(size.terms) > MAX_TERMS or any(len(monomial) > MAX_FACTORS or abs(c) > 10**9 for monomial, c in size.terms)
