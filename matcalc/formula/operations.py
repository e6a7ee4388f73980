"""The operations that an expression is made of: for each its shape rule and its value, in the words of `matcalc.array`.

A value is 0-d where the expression is a scalar and two-dimensional everywhere else, on every kind of array.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import e, pi
from typing import Any

from matcalc import array as words
from matcalc.formula.expression import Expr, ShapeError, Span, Value
from matcalc.formula.size import ONE, Size

Shape = tuple[Size, Size]
Same = Callable[[Size, Size], bool]
"Whether two sizes are equal; a parser's may make them so, where one is not known yet."
ShapeRule = Callable[[tuple[Expr, ...], Any, Same], Shape]
CONSTANTS = {"pi": pi, "e": e}


@dataclass(frozen=True)
class Point:
    """Where an expression is evaluated: its inputs, the sizes of its dimensions, and an array of the kind that new ones get."""

    inputs: Mapping[str, Value]
    sizes: Mapping[str, int]
    like: Value
    values: dict[Expr, Value] = field(default_factory=dict[Expr, Value])


@dataclass(frozen=True)
class Operation:
    """What an operation does to shapes and to values; `entrywise` ones take scalars for arrays of any shape."""

    name: str
    shape: ShapeRule
    value: Callable[..., Value]
    entrywise: bool = False


OPERATIONS: dict[str, Operation] = {}


def make(op: str, *args: Expr, data: Any = None, same: Same | None = None, span: Span | None = None) -> Expr:
    """An operation on expressions; ShapeError where they do not fit together. Leaves have functions of their own."""
    rows, cols = OPERATIONS[op].shape(args, data, same or (lambda a, b: a == b))
    return Expr(op, args, rows, cols, data, span)


def name(text: str, rows: Size | str | int = 1, cols: Size | str | int = 1, span: Span | None = None) -> Expr:
    """An input."""
    return Expr("name", (), Size.of(rows), Size.of(cols), text, span)


def number(value: float | Fraction, span: Span | None = None) -> Expr:
    """A number, kept exactly."""
    return Expr("number", data=Fraction(str(value)) if isinstance(value, float) else Fraction(value), span=span)


def constant(text: str, span: Span | None = None) -> Expr:
    """One of pi and e."""
    return Expr("constant", data=text, span=span)


def dimension(size: Size | str | int, span: Span | None = None) -> Expr:
    """A size that is used as a number, as the n in n log(2 pi)."""
    value = Size.of(size)
    return number(value.number, span) if value.number is not None else Expr("size", data=value, span=span)


def filled(op: str, rows: Size | str | int, cols: Size | str | int = 1, data: Any = None, span: Span | None = None) -> Expr:
    """`ones`, `zeros`, `eye` or `unit` (a column of zeros with a one at place `data`) of this shape."""
    return Expr(op, (), Size.of(rows), Size.of(cols), data, span)


def evaluate(expr: Expr, point: Point) -> Value:
    """The value of an expression at a point; every different part of it is computed once.

    Vectors may be given as one-dimensional arrays. Raises KeyError for an input or a dimension without a value.
    """
    done = point.values
    for node in expr.nodes():
        if node in done:
            continue
        if node.op in OPERATIONS:
            operation = OPERATIONS[node.op]
            args = [done[arg] if operation.entrywise else _matrix(done[arg]) for arg in node.args]
            exponent = _rational(node.args[1], point.sizes) if node.op == "power" else None
            if exponent is not None:  # every kind of array knows better what to do with 2 than with an array of twos
                args[1] = int(exponent) if exponent.denominator == 1 else float(exponent)
            value = operation.value(*args, *(() if node.data is None else (node.data,)))
        else:
            value = _leaf(node, point)
        done[node] = _shaped(value, scalar=node.is_scalar)
    return done[expr]


def _matrix(x: Value) -> Value:
    return words.reshape(x, (1, 1)) if x.ndim == 0 else x


def _shaped(x: Value, *, scalar: bool) -> Value:
    if scalar:
        return words.reshape(x, ()) if x.ndim else x
    return words.reshape(x, (x.shape[0], 1)) if x.ndim == 1 else x


def _leaf(node: Expr, point: Point) -> Value:
    data: Any = node.data
    like = point.like
    match node.op:
        case "name":
            value = point.inputs[data]
        case "number":
            value = words.like(data.numerator, like) / data.denominator
        case "constant":
            value = words.like(CONSTANTS[data], like)
        case "size":
            value = words.like(data.at(point.sizes), like)
        case _:
            value = _FILLED[node.op](node.rows.at(point.sizes), node.cols.at(point.sizes), data, like)
    return value


_FILLED: dict[str, Callable[[int, int, Any, Value], Value]] = {
    "ones": lambda rows, cols, _, like: words.ones((rows, cols), like),
    "zeros": lambda rows, cols, _, like: words.zeros((rows, cols), like),
    "eye": lambda rows, cols, _, like: words.eye(rows, like, cols),
    "unit": lambda rows, _, place, like: words.eye(rows, like, 1, offset=-place),
}


def _rational(expr: Expr, sizes: Mapping[str, int]) -> Fraction | None:
    """The value of what is made of numbers and sizes alone."""
    value: Any = expr.data
    match expr.op:
        case "number":
            return value
        case "size":
            return Fraction(value.at(sizes))
        case "neg" | "add" | "sub" | "scale" | "divide":
            args = [_rational(arg, sizes) for arg in expr.args]
            known = [arg for arg in args if arg is not None]
            return _ARITHMETIC[expr.op](*known) if len(known) == len(args) else None
        case _:
            return None


_ARITHMETIC: dict[str, Callable[..., Fraction | None]] = {
    "neg": lambda a: -a,
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "scale": lambda a, b: a * b,
    "divide": lambda a, b: a / b if b else None,
}


# --- shape rules ---------------------------------------------------------------------------------------------------------------


def _equal(args: tuple[Expr, ...], data: Any, same: Same) -> Shape:
    """Operands of one shape."""
    del data
    for other in args[1:]:
        if not (same(args[0].rows, other.rows) and same(args[0].cols, other.cols)):
            raise ShapeError("the shapes differ")
    return args[0].shape


def _product(args: tuple[Expr, ...], data: Any, same: Same) -> Shape:
    del data
    A, B = args
    if not same(A.cols, B.rows):
        raise ShapeError("the inner dimensions differ")
    return A.rows, B.cols


def _scaled(args: tuple[Expr, ...], data: Any, same: Same) -> Shape:
    del data, same
    if not args[0].is_scalar:
        raise ShapeError("the factor is no scalar")
    return args[1].shape


def _divided(args: tuple[Expr, ...], data: Any, same: Same) -> Shape:
    del data, same
    if not args[1].is_scalar:
        raise ShapeError("the divisor is no scalar")
    return args[0].shape


def _either(args: tuple[Expr, ...], data: Any, same: Same) -> Shape:
    """Operands of one shape, where a scalar may stand for an array of equal entries."""
    if args[0].is_scalar:
        return args[1].shape
    return args[0].shape if args[1].is_scalar else _equal(args, data, same)


def _square(args: tuple[Expr, ...], data: Any, same: Same) -> Shape:
    del data
    if not same(args[0].rows, args[0].cols):
        raise ShapeError("the matrix is not square")
    return args[0].shape


def _number_of_square(args: tuple[Expr, ...], data: Any, same: Same) -> Shape:
    _square(args, data, same)
    return ONE, ONE


def _number(args: tuple[Expr, ...], data: Any, same: Same) -> Shape:
    del args, data, same
    return ONE, ONE


def _transposed(args: tuple[Expr, ...], data: Any, same: Same) -> Shape:
    del data, same
    return args[0].cols, args[0].rows


def _as_it_is(args: tuple[Expr, ...], data: Any, same: Same) -> Shape:
    del data, same
    return args[0].shape


def _column(args: tuple[Expr, ...], same: Same) -> Expr:
    if not same(args[0].cols, ONE):
        raise ShapeError("it is no column vector")
    return args[0]


def _vector(args: tuple[Expr, ...], data: Any, same: Same) -> Shape:
    del data
    return _column(args, same).shape


def _diagonal_matrix(args: tuple[Expr, ...], data: Any, same: Same) -> Shape:
    del data
    x = _column(args, same)
    return x.rows, x.rows


def _diagonal_of(args: tuple[Expr, ...], data: Any, same: Same) -> Shape:
    return _square(args, data, same)[0], ONE


def _kronecker(args: tuple[Expr, ...], data: Any, same: Same) -> Shape:
    del data, same
    A, B = args
    return A.rows * B.rows, A.cols * B.cols


def _vectorized(args: tuple[Expr, ...], data: Any, same: Same) -> Shape:
    del data, same
    return args[0].rows * args[0].cols, ONE


def _blocks(args: tuple[Expr, ...], data: Any, same: Same) -> Shape:
    """Blocks by rows; `data` is the number of blocks in a row."""
    grid = [args[i : i + data] for i in range(0, len(args), data)]
    fits = all(same(block.rows, row[0].rows) for row in grid for block in row)
    if not fits or not all(same(block.cols, first.cols) for row in grid for block, first in zip(row, grid[0], strict=True)):
        raise ShapeError("the blocks do not fit together")
    rows, cols = grid[0][0].rows, grid[0][0].cols
    for row in grid[1:]:
        rows += row[0].rows
    for block in grid[0][1:]:
        cols += block.cols
    return rows, cols


# --- values --------------------------------------------------------------------------------------------------------------------


def _power(x: Value, y: Value) -> Value:
    """Entry by entry; an exact array takes an integer exponent as such."""
    return x**y


def _matrix_power(X: Value, exponent: int) -> Value:
    base = X if exponent >= 0 else words.inv(X)
    if exponent == 0:
        return words.identity_like(X)
    power = base
    for _ in range(abs(exponent) - 1):
        power = power @ base
    return power


def _hollow(X: Value) -> Value:
    """X with zeros on its diagonal, whatever stood there."""
    return words.where(words.eye(X.shape[0], X, X.shape[1]) == 1, words.zeros_like(X), X)


def _softmax(x: Value) -> Value:
    e_x = words.exp(x - words.largest(x, axis=0, keepdims=True))
    return e_x / words.total(e_x, axis=0, keepdims=True)


def _log_sum_exp(x: Value) -> Value:
    most = words.largest(x)
    return most + words.log(words.total(words.exp(x - most)))


def _norm(X: Value) -> Value:
    return words.sqrt(words.total(X * X))


def _nuclear(X: Value) -> Value:
    return words.total(words.thin_svd(X)[1])


def _spectral(X: Value) -> Value:
    return words.largest(words.thin_svd(X)[1])


def _pinv(X: Value) -> Value:
    """The pseudo-inverse of a matrix of full rank."""
    return words.solve(X.mT @ X, X.mT) if X.shape[0] >= X.shape[1] else words.solve(X @ X.mT, X).mT


def _of_spectrum(function: Callable[[Value], Value]) -> Callable[[Value], Value]:
    """A function of a symmetric matrix, taken of its eigenvalues."""

    def value(X: Value) -> Value:
        lam, V = words.eigh(X)
        return (V * function(lam)) @ V.mT

    return value


def _block(*blocks: Any) -> Value:
    *parts, width = blocks
    return words.block([parts[i : i + width] for i in range(0, len(parts), width)])


def _entry(X: Value, place: tuple[int, ...]) -> Value:
    return X[place if len(place) > 1 else (*place, 0)]


def _relu(x: Value) -> Value:
    return words.maximum(x, 0)


def _step(x: Value) -> Value:
    return words.step(x > 0, x)


def _add_operations() -> None:
    entrywise: dict[str, Callable[..., Value]] = {
        "neg": lambda x: -x,
        **{word: getattr(words, word) for word in ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arctan")},
        **{word: getattr(words, word) for word in ("erf", "erfc", "log_gamma", "digamma", "sign", "sigmoid", "softplus")},
        "abs": words.absolute,
        "relu": _relu,
        "step": _step,
    }
    table: list[tuple[str, ShapeRule, Callable[..., Value], bool]] = [
        *((name, _as_it_is, value, True) for name, value in entrywise.items()),
        ("add", _equal, lambda x, y: x + y, True),
        ("sub", _equal, lambda x, y: x - y, True),
        ("scale", _scaled, lambda c, X: c * X, True),
        ("divide", _divided, lambda X, c: X / c, True),
        ("hadamard", _equal, lambda x, y: x * y, True),
        ("quotient", _equal, lambda x, y: x / y, True),
        ("power", _either, _power, True),
        ("maximum", _either, words.maximum, True),
        ("minimum", _either, words.minimum, True),
        ("matmul", _product, lambda A, B: A @ B, False),
        ("transpose", _transposed, lambda X: X.mT, False),
        ("inv", _square, words.inv, False),
        ("pinv", _transposed, _pinv, False),
        ("matpow", _square, _matrix_power, False),
        ("expm", _square, words.expm, False),
        ("logm", _square, _of_spectrum(words.log), False),  # of a positive definite matrix, as the root is
        ("sqrtm", _square, _of_spectrum(words.sqrt), False),
        ("kron", _kronecker, words.kron, False),
        ("trace", _number_of_square, words.trace, False),
        ("det", _number_of_square, words.det, False),
        ("logdet", _number_of_square, lambda X: words.log(words.det(X)), False),
        ("logabsdet", _number_of_square, words.log_abs_det, False),
        ("sum", _number, words.total, False),
        ("prod", _number, lambda X: words.product(words.reshape(X, (-1,))), False),
        ("max", _number, words.largest, False),
        ("min", _number, words.smallest, False),
        ("logsumexp", _number, _log_sum_exp, False),
        ("norm", _number, _norm, False),
        ("norm1", _number, lambda X: words.total(words.absolute(X)), False),
        ("nuclear", _number, _nuclear, False),
        ("spectral", _number, _spectral, False),
        ("entry", _number, _entry, False),
        ("softmax", _vector, _softmax, False),
        ("cumsum", _vector, lambda x: words.cumulative_sum(words.reshape(x, (-1,))), False),
        ("sort", _vector, lambda x: words.take(x, words.argsort(words.reshape(x, (-1,)))), False),
        ("diag", _diagonal_matrix, lambda x: words.diag(words.reshape(x, (-1,))), False),
        ("diagonal", _diagonal_of, words.diagonal, False),
        ("vec", _vectorized, lambda X: words.reshape(X.mT, (-1, 1)), False),
        ("tril", _as_it_is, words.tril, False),
        ("triu", _as_it_is, words.triu, False),
        ("hollow", _square, _hollow, False),
        ("block", _blocks, _block, False),
    ]
    for name_, shape, value, is_entrywise in table:
        OPERATIONS[name_] = Operation(name_, shape, value, is_entrywise)


_add_operations()
