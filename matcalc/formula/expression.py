"""Expressions: immutable, typed, equal by structure.

Everything is a matrix: a vector is n by 1, a scalar is 1 by 1. What an operation means, which shape it has and how it is computed
stands in `operations`; here is only what all have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from matcalc.formula.size import ONE, Size

Span = tuple[int, int]
"From and to, in the text that was read."


@dataclass(frozen=True, eq=False)
class Expr:
    """An operation on expressions; `data` is what else there is to say of it: a name, a number, an offset."""

    op: str
    args: tuple[Expr, ...] = ()
    rows: Size = ONE
    cols: Size = ONE
    data: Any = None
    span: Span | None = field(default=None, repr=False)

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

    def depth(self) -> int:
        """The longest way from it to an input."""
        depths: dict[Expr, int] = {}
        for node in self.nodes():
            depths[node] = 1 + max((depths[arg] for arg in node.args), default=0)
        return depths[self]

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
        """The message, the text with the place underlined, and the repairs."""
        lines = [str(self)]
        if self.text and self.span:
            start, end = self.span
            lines += [f"  {self.text}", "  " + " " * start + "^" * max(1, end - start)]
        if self.repairs:
            lines.append("try: " + "  or  ".join(self.repairs))
        return "\n".join(lines)


class ShapeError(FormulaError):
    """Operands that do not fit together."""


Value = Any
"An array of any kind that `matcalc.array` knows: 0-d for a scalar, two-dimensional for everything else."
