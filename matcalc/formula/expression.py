"""Expressions: immutable, typed, equal by structure.

Everything is a matrix: a vector is n by 1, a scalar is 1 by 1. What an operation means, which shape it has and how it is computed
stands in `operations`; here is only what all have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from unicodedata import category, combining

from matcalc.formula.size import ONE, Size

Span = tuple[int, int]
"From and to, in the text that was read."
WIDTH, BEFORE = 120, 60
"Signs of a long text that a message shows, and how many of them at most before the place that it is about."


@dataclass(frozen=True, eq=False)
class Expr:
    """An operation on expressions; `data` is what else there is to say of it: a name, a number, an offset."""

    op: str
    args: tuple[Expr, ...] = ()
    rows: Size = ONE
    cols: Size = ONE
    data: Any = None
    span: Span | None = field(default=None, repr=False)
    length: int = field(init=False, repr=False)
    "How many operations and leaves there are where it is written out, every part as often as it is used."
    depth: int = field(init=False, repr=False)
    "How many of them there are on the longest way to an input."

    def __post_init__(self) -> None:
        object.__setattr__(self, "length", 1 + sum([arg.length for arg in self.args]))
        object.__setattr__(self, "depth", 1 + max([arg.depth for arg in self.args], default=0))

    @property
    def shape(self) -> tuple[Size, Size]:
        """Rows and columns."""
        return self.rows, self.cols

    @property
    def is_scalar(self) -> bool:
        """Whether it is 1 by 1 whatever the dimensions are."""
        return self.rows == ONE and self.cols == ONE

    @property
    def is_vector(self) -> bool:
        """Whether it is a column and no scalar."""
        return self.cols == ONE and self.rows != ONE

    @property
    def is_square(self) -> bool:
        """Whether it has as many rows as columns."""
        return self.rows == self.cols

    @cached_property
    def key(self) -> tuple[Hashable, ...]:
        """What makes it equal to another."""
        return (self.op, self.args, self.rows, self.cols, self.data)

    @cached_property
    def _hash(self) -> int:
        return hash(self.key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Expr) and self._hash == other._hash and self.key == other.key

    def nodes(self) -> Iterator[Expr]:
        """Every different expression in it, operands before what uses them; itself last."""
        seen: set[Expr] = set()
        stack: list[tuple[Expr, bool]] = [(self, False)]
        while stack:
            node, ready = stack.pop()
            if node in seen:
                continue
            if ready:
                seen.add(node)
                yield node
            else:
                stack.append((node, True))
                stack.extend((arg, False) for arg in reversed(node.args))

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of the inputs in it."""
        return frozenset(str(node.data) for node in self.nodes() if node.op == "name")

    def with_args(self, args: tuple[Expr, ...]) -> Expr:
        """The same operation on other operands of the same shapes."""
        return self if args == self.args else replace(self, args=args)

    def mapped(self, change: Callable[[Expr], Expr | None]) -> Expr:
        """The same with every node for which `change` has an answer replaced by it, from the inputs upwards."""
        done: dict[Expr, Expr] = {}
        for node in self.nodes():
            built = node.with_args(tuple(done[arg] for arg in node.args))
            changed = change(built)
            done[node] = built if changed is None else changed
        return done[self]

    def replaced(self, by: dict[str, Expr]) -> Expr:
        """The same with expressions in place of names."""
        return self.mapped(lambda node: by.get(str(node.data)) if node.op == "name" else None)

    def __repr__(self) -> str:
        """As in `matmul(transpose(A), x)`."""
        inside = [repr(arg) for arg in self.args] + ([] if self.data is None else [str(self.data)])
        if self.op in {"name", "number", "size", "constant"}:
            return str(self.data)
        return f"{self.op}({', '.join(inside)})"


class FormulaError(ValueError):
    """A text that cannot be read, or read in one way only: one sentence, the place, and what would fit."""

    def __init__(self, message: str, *, text: str = "", span: Span | None = None, repairs: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.text = text
        self.span = span
        self.repairs = repairs

    def shown(self) -> str:
        """The message, the text with the place underlined, of a long one what stands around the place, and the repairs."""
        lines = [str(self), *(_underlined(self.text, *self.span) if self.text and self.span else ())]
        if self.repairs:
            lines.append("try: " + "  or  ".join(self.repairs))
        return "\n".join(lines)


class ShapeError(FormulaError):
    """Operands that do not fit together."""


class OpenSizeError(FormulaError):
    """An array of which nothing says how large it is, as the identity in tr(I)."""


def _underlined(text: str, start: int, end: int) -> tuple[str, str]:
    """A line of the text around a place, and below it one of marks; what would break the line, or turn it around, is a space."""
    first = max(0, min(start - BEFORE, len(text) - WIDTH))
    signs = [(" " if category(sign)[0] in "CZ" else sign, place) for place, sign in enumerate(f"{text} ")][first : first + WIDTH + 1]
    marks = "".join("" if combining(sign) else "^" if start <= place < max(end, start + 1) else " " for sign, place in signs)
    cut, more = "…" * (first > 0), "…" * (first + WIDTH < len(text))
    line = "".join(sign for sign, _ in signs[:WIDTH])
    return f"  {cut}{line}{more}".rstrip(), f"  {' ' * len(cut)}{marks.rstrip()}"


Value = Any
"An array of any kind that `matcalc.array` knows: 0-d for a scalar, two-dimensional for everything else."
