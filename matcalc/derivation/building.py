"""Expressions built a little tidier than they are said: factors of one and transposed transposes are not written at all."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace
from functools import reduce
from weakref import WeakValueDictionary

from matcalc.formula.expression import Expr, FormulaError
from matcalc.formula.operations import filled, make, number
from matcalc.formula.size import ONE

UNIT = number(1)
ZERO = number(0)


MOST_SIZE = 2000
"Signs of a formula that is simplified, or taken apart; nobody reads a longer one."
TOO_LONG = "the derivative is too long to be written"


class TooLongError(FormulaError):
    """A formula that would be too long to be written."""


def interned(expr: Expr) -> Expr:
    """The same expression, the same object whenever it is made again: equal parts are one, so that comparing them takes no time.

    An adjoint is a graph, in which one part may be reached in more ways than could ever be followed.
    """
    done: dict[int, Expr] = {}
    stack = [expr]
    while stack:
        node = stack[-1]
        waiting = [arg for arg in node.args if id(arg) not in done and id(arg) not in _OWN]
        if waiting:
            stack += waiting
            continue
        stack.pop()
        if id(node) in done or id(node) in _OWN:
            continue
        args = tuple(done.get(id(arg), arg) for arg in node.args)
        word = (node.op, tuple(map(id, args)), node.shape, node.data)
        known = _KNOWN.get(word)
        if known is None:
            known = node if all(a is b for a, b in zip(args, node.args, strict=True)) else replace(node, args=args)
            _KNOWN[word] = known
            _OWN[id(known)] = known
        done[id(node)] = known
    return done.get(id(expr), expr)


_KNOWN: WeakValueDictionary[tuple[Hashable, ...], Expr] = WeakValueDictionary()
_OWN: WeakValueDictionary[int, Expr] = WeakValueDictionary()
"The expressions that were chosen, by their parts and by themselves."


def zero(like: Expr) -> Expr:
    """Zeros of the shape of `like`."""
    return ZERO if like.is_scalar else filled("zeros", *like.shape)


def ones(like: Expr) -> Expr:
    """Ones of the shape of `like`."""
    return UNIT if like.is_scalar else filled("ones", *like.shape)


def is_zero(x: Expr) -> bool:
    """Whether it is written as zero."""
    return x.op == "zeros" or x == ZERO


def is_one(x: Expr) -> bool:
    """Whether every entry is written as one."""
    return x.op == "ones" or x == UNIT


def flipped(x: Expr) -> Expr:
    """The transpose."""
    if x.is_scalar or (x.op in {"diag", "eye"} and x.is_square):
        return x
    if x.op in {"zeros", "ones"}:
        return filled(x.op, x.cols, x.rows)
    return x.args[0] if x.op == "transpose" else make("transpose", x)


def scaled(c: Expr, x: Expr) -> Expr:
    """A scalar times anything."""
    if is_zero(c) or is_zero(x):
        return zero(x)
    if is_one(c):
        return x
    return c if x.is_scalar and is_one(x) else make("scale", c, x)


def over(x: Expr, c: Expr) -> Expr:
    """Anything divided by a scalar."""
    return x if is_one(c) else make("divide", x, c)


def times(*factors: Expr) -> Expr:
    """The product of matrices, some of which may be scalars."""

    def pair(A: Expr, B: Expr) -> Expr:
        if A.is_scalar:
            return scaled(A, B)
        if B.is_scalar:
            return scaled(B, A)
        if A.op == "eye" and A.is_square:
            return B
        return A if B.op == "eye" and B.is_square else make("matmul", A, B)

    return reduce(pair, factors)


def by_entry(x: Expr, y: Expr) -> Expr:
    """The product entry by entry of two expressions of one shape."""
    if x.is_scalar:
        return scaled(x, y)
    if is_one(x):
        return y
    return x if is_one(y) else make("hadamard", x, y)


def plus(terms: Iterable[Expr]) -> Expr:
    """The sum of one or more expressions of one shape."""

    def pair(x: Expr, y: Expr) -> Expr:
        if is_zero(x):
            return y
        if is_zero(y):
            return x
        return make("sub", x, y.args[0]) if y.op == "neg" else make("add", x, y)

    return reduce(pair, terms)


def minus(x: Expr) -> Expr:
    """The opposite."""
    return x.args[0] if x.op == "neg" else x if is_zero(x) else make("neg", x)


def inner(x: Expr, y: Expr) -> Expr:
    """The sum of the products of entries: tr(xᵀ y)."""
    if x.is_scalar:
        return scaled(x, y)
    if is_one(x):
        return make("sum", y)
    if x.cols == ONE:
        return times(flipped(x), y)
    return times(x, flipped(y)) if x.rows == ONE else make("trace", times(flipped(x), y))


def to_power(x: Expr, exponent: int) -> Expr:
    """Entry by entry."""
    return x if exponent == 1 else make("power", x, number(exponent))
