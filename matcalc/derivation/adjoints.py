"""What an operation hands to its operands in the backward pass, in matrix form, and the catalogue rule that says so.

With Y = op(A, B, ...) and Ȳ the derivative of the output with respect to Y, each operand gets the Ā with <Ȳ, dY> = <Ā, dA> + ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from matcalc.derivation.building import UNIT, by_entry, flipped, inner, minus, ones, over, plus, scaled, times, to_power
from matcalc.formula.expression import Expr, FormulaError
from matcalc.formula.operations import constant, filled, make, number
from matcalc.formula.size import ONE, Size

Shares = tuple[Expr | None, ...]
"For each operand its share of the adjoint; None where it is zero, or where the operand is a mere number of the operation."
Pull = Callable[[Expr, Expr], Shares]
"From an operation and its adjoint to the shares of its operands."
MOST_POWER = 64
"Integer powers of a matrix up to this are differentiated factor by factor."


@dataclass(frozen=True)
class Adjoint:
    """The backward rule of an operation; `catalogue` names the rule that justifies it, which may depend on the shapes."""

    shares: Pull
    catalogue: Callable[[Expr], str | None] = lambda _: None


def shares(node: Expr, adjoint: Expr) -> Shares:
    """The share of each operand of `node` in its adjoint. FormulaError for an operation without a derivative in matrix form."""
    rule = ADJOINTS.get(node.op)
    if rule is None:
        raise FormulaError(f"{node.op} has no derivative that can be written in matrix form", span=node.span)
    return rule.shares(node, adjoint)


def catalogue_rule(node: Expr) -> str | None:
    """The name of the catalogue rule behind the backward step of `node`, or None where the catalogue has none."""
    rule = ADJOINTS.get(node.op)
    return None if rule is None else rule.catalogue(node)


# --- functions of entries ------------------------------------------------------------------------------------------------------

Slope = Callable[[Expr, Expr], Expr]


def _one_minus(x: Expr) -> Expr:
    return make("sub", ones(x), x)


def _reciprocal(x: Expr) -> Expr:
    return make("quotient", ones(x), x) if not x.is_scalar else over(ones(x), x)


def _bell(x: Expr) -> Expr:
    """2 exp(-x²) / √π, the derivative of erf."""
    height = over(number(2), make("sqrt", constant("pi")))
    return scaled(height, make("exp", minus(to_power(x, 2))))


SLOPES: dict[str, Slope | None] = {
    "neg": lambda x, _: minus(ones(x)),
    "exp": lambda _, y: y,
    "log": lambda x, _: _reciprocal(x),
    "sqrt": lambda _, y: scaled(number(Fraction(1, 2)), _reciprocal(y)),
    "sin": lambda x, _: make("cos", x),
    "cos": lambda x, _: minus(make("sin", x)),
    "tan": lambda _, y: make("add", ones(y), to_power(y, 2)),
    "sinh": lambda x, _: make("cosh", x),
    "cosh": lambda x, _: make("sinh", x),
    "tanh": lambda _, y: _one_minus(to_power(y, 2)),
    "arcsin": lambda x, _: _reciprocal(make("sqrt", _one_minus(to_power(x, 2)))),
    "arctan": lambda x, _: _reciprocal(make("add", ones(x), to_power(x, 2))),
    "erf": lambda x, _: _bell(x),
    "erfc": lambda x, _: minus(_bell(x)),
    "log_gamma": lambda x, _: make("digamma", x),
    "sigmoid": lambda _, y: by_entry(y, _one_minus(y)),
    "softplus": lambda x, _: make("sigmoid", x),
    "abs": lambda x, _: make("sign", x),
    "relu": lambda x, _: make("step", x),
    "sign": None,
    "step": None,
}
"The derivative of each function of one number, from its argument x and its value y; None where it is zero."


def _entrywise(slope: Slope | None) -> Pull:
    def pull(node: Expr, adjoint: Expr) -> Shares:
        if slope is None:
            return (None,)
        factor = slope(node.args[0], node)
        if factor.op == "neg":
            return (minus(by_entry(factor.args[0], adjoint)),)
        return (by_entry(factor, adjoint),)

    return pull


def _summed(operand: Expr, share: Expr) -> Expr:
    """What a scalar operand that was taken for an array of equal entries gets: the sum."""
    return make("sum", share) if operand.is_scalar and not share.is_scalar else share


def _power(node: Expr, adjoint: Expr) -> Shares:
    x, p = node.args
    less = plus([p, minus(ones(p))]) if p.op != "number" else number(_fraction(p) - 1)
    lowered = ones(x) if less == number(0) else x if less == number(1) else make("power", x, less)
    slope = by_entry(p, lowered) if not p.is_scalar and not lowered.is_scalar else times(p, lowered)
    first = _summed(x, by_entry(slope, adjoint))
    if not p.names:
        return first, None
    logarithm = make("log", x)
    second = by_entry(node, adjoint)
    second = scaled(logarithm, second) if x.is_scalar else by_entry(second, logarithm)
    return first, _summed(p, second)


def _fraction(x: Expr) -> Fraction:
    return x.data if isinstance(x.data, Fraction) else Fraction(0)


def _larger(*, sign: int) -> Pull:
    """Of the larger (sign 1) or smaller (-1) of two entries; of an expression beside itself, all to the first."""

    def pull(node: Expr, adjoint: Expr) -> Shares:
        if node.args[0] == node.args[1]:
            return adjoint, None
        x, y = (scaled(arg, ones(node)) if arg.is_scalar and not node.is_scalar else arg for arg in node.args)
        first, second = (x, y) if sign > 0 else (y, x)
        return tuple(
            _summed(arg, by_entry(make("step", make("sub", a, b)), adjoint))
            for arg, a, b in zip(node.args, (first, second), (second, first), strict=True)
        )

    return pull


# --- sums and products ---------------------------------------------------------------------------------------------------------


def _matmul(node: Expr, adjoint: Expr) -> Shares:
    A, B = node.args
    return times(adjoint, flipped(B)), times(flipped(A), adjoint)


def _divide(node: Expr, adjoint: Expr) -> Shares:
    X, c = node.args
    return over(adjoint, c), minus(over(inner(adjoint, X), to_power(c, 2)))


def _quotient(node: Expr, adjoint: Expr) -> Shares:
    x, y = node.args
    return make("quotient", adjoint, y), minus(make("quotient", by_entry(adjoint, x), to_power(y, 2)))


def _multiple_of_identity(x: Expr) -> Expr | None:
    """The c of c I."""
    if x.op == "eye" and x.is_square:
        return UNIT
    return x.args[0] if x.op == "scale" and x.args[1].op == "eye" and x.is_square else None


def _kron(node: Expr, adjoint: Expr) -> Shares:
    A, B = node.args
    factor = _multiple_of_identity(adjoint)
    if factor is not None and A.is_square and B.is_square:
        first, second = (scaled(scaled(factor, make("trace", Y)), filled("eye", *X.shape)) for X, Y in ((A, B), (B, A)))
        return first, second
    row, column = flipped(filled("ones", B.rows)), filled("ones", B.cols)
    inside = make("hadamard", adjoint, make("kron", filled("ones", *A.shape), B))
    first = times(make("kron", filled("eye", A.rows, A.rows), row), inside, make("kron", filled("eye", A.cols, A.cols), column))
    row, column = flipped(filled("ones", A.rows)), filled("ones", A.cols)
    inside = make("hadamard", adjoint, make("kron", A, filled("ones", *B.shape)))
    second = times(make("kron", row, filled("eye", B.rows, B.rows)), inside, make("kron", column, filled("eye", B.cols, B.cols)))
    return first, second


def _block(node: Expr, adjoint: Expr) -> Shares:
    """Each block gets its part of the adjoint, cut out by rows and columns of the identity."""
    width = node.data if isinstance(node.data, int) else 1
    heights, widths = [block.rows for block in node.args[::width]], [block.cols for block in node.args[:width]]
    return tuple(times(flipped(_strip(heights, k // width)), adjoint, _strip(widths, k % width)) for k in range(len(node.args)))


def _strip(sizes: list[Size], place: int) -> Expr:
    """The columns of the identity that belong to one block: zeros, I, zeros on top of one another."""
    width = sizes[place]
    parts = [filled("eye" if k == place else "zeros", size, width) for k, size in enumerate(sizes)]
    return parts[0] if len(parts) == 1 else make("block", *parts, data=1)


# --- matrices ------------------------------------------------------------------------------------------------------------------


def _inv(node: Expr, adjoint: Expr) -> Shares:
    return (minus(times(flipped(node), adjoint, flipped(node))),)


def _pinv(node: Expr, adjoint: Expr) -> Shares:
    (X,) = node.args
    P, Pt, Yt = node, flipped(node), flipped(adjoint)
    left = make("sub", filled("eye", X.rows, X.rows), times(X, P))
    right = make("sub", filled("eye", X.cols, X.cols), times(P, X))
    return (plus([minus(times(Pt, adjoint, Pt)), times(left, Yt, P, Pt), times(Pt, P, Yt, right)]),)


def _matpow(node: Expr, adjoint: Expr) -> Shares:
    (X,), exponent = node.args, node.data if isinstance(node.data, int) else 0
    if abs(exponent) > MOST_POWER:
        raise FormulaError(f"a matrix to the power {exponent} is not differentiated, only powers up to {MOST_POWER}", span=node.span)
    if exponent == 0:
        return (None,)
    count = abs(exponent)
    base = flipped(X if exponent > 0 else make("inv", X))

    def power(k: int) -> tuple[Expr, ...]:
        return () if k == 0 else (base,) if k == 1 else (make("matpow", base, data=k),)

    total = plus([times(*power(k), adjoint, *power(count - 1 - k)) for k in range(count)])
    return (total if exponent > 0 else minus(times(base, total, base)),)


def _expm(node: Expr, adjoint: Expr) -> Shares:
    """The derivative of the exponential at Xᵀ along Ȳ: a block of the exponential of [Xᵀ Ȳ; 0 Xᵀ]."""
    Xt = flipped(node.args[0])
    factor = _multiple_of_identity(adjoint)
    if factor is not None:  # which commutes with everything
        return (scaled(factor, flipped(node)),)
    n = node.rows
    doubled = make("block", Xt, adjoint, filled("zeros", n, n), Xt, data=2)
    return (times(flipped(_strip([n, n], 0)), make("expm", doubled), _strip([n, n], 1)),)


def _sqrtm(node: Expr, adjoint: Expr) -> Shares:
    """The X̄ with Y X̄ + X̄ Y = Ȳ, of a positive definite matrix and its root Y: (I ⊗ Y + Y ⊗ I) vec(X̄) = vec(Ȳ)."""
    factor = _multiple_of_identity(adjoint)
    if factor is not None:
        return (scaled(number(Fraction(1, 2)), scaled(factor, make("inv", node))),)
    identity = filled("eye", node.rows, node.rows)
    system = make("add", make("kron", identity, node), make("kron", node, identity))
    return (_from_columns(times(make("inv", system), make("vec", adjoint)), node),)


def _logm(node: Expr, adjoint: Expr) -> Shares:
    factor = _multiple_of_identity(adjoint)
    if factor is None:
        raise FormulaError("the logarithm of a matrix has no derivative in matrix form, except under a trace", span=node.span)
    return (scaled(factor, make("inv", node.args[0])),)


def _from_columns(column: Expr, like: Expr) -> Expr:
    """The matrix of the shape of `like` with these columns under one another: (vec(I)ᵀ ⊗ I)(I ⊗ v)."""
    if like.cols == ONE:
        return column
    identity = filled("eye", like.cols, like.cols)
    left = make("kron", flipped(make("vec", identity)), filled("eye", like.rows, like.rows))
    return times(left, make("kron", identity, column))


# --- numbers from arrays -------------------------------------------------------------------------------------------------------


def _extreme(*, sign: int) -> Pull:
    """Of the largest (sign 1) or smallest (-1) entry: 1 at that entry, 0 at the others."""

    def pull(node: Expr, adjoint: Expr) -> Shares:
        (X,) = node.args
        level = scaled(node, ones(X))
        below = make("sub", level, X) if sign > 0 else make("sub", X, level)
        return (scaled(adjoint, _one_minus(make("step", below))),)

    return pull


def _log_sum_exp(node: Expr, adjoint: Expr) -> Shares:
    (X,) = node.args
    weights = make("softmax", X) if X.cols == ONE else make("exp", make("sub", X, scaled(node, ones(X))))
    return (scaled(adjoint, weights),)


def _softmax(node: Expr, adjoint: Expr) -> Shares:
    return (by_entry(node, make("sub", adjoint, scaled(inner(node, adjoint), ones(node)))),)


def _entry(node: Expr, adjoint: Expr) -> Shares:
    (X,) = node.args
    place = node.data if isinstance(node.data, tuple) else (node.data,)
    row = filled("unit", X.rows, 1, place[0])
    spot = row if X.cols == ONE else times(row, flipped(filled("unit", X.cols, 1, place[1] if len(place) > 1 else 0)))
    return (scaled(adjoint, spot),)


def _sum_of_norm(node: Expr, adjoint: Expr) -> Shares:
    return (scaled(adjoint, make("sign", node.args[0])),)


def _cumsum(node: Expr, adjoint: Expr) -> Shares:
    return (times(make("triu", filled("ones", node.rows, node.rows)), adjoint),)


def _triangle(node: Expr, adjoint: Expr) -> Shares:
    return (make(node.op, adjoint, data=node.data),)


def _linear(change: Callable[[Expr, Expr], Expr]) -> Pull:
    """Of an operation of one operand, from the adjoint and that operand."""
    return lambda node, adjoint: (change(adjoint, node.args[0]),)


def _always(rule: str) -> Callable[[Expr], str | None]:
    return lambda _: rule


def _by_kind(scalar: str | None, other: str | None) -> Callable[[Expr], str | None]:
    return lambda node: scalar if node.is_scalar else other


def _kind_of_product(node: Expr) -> str:
    A, B = node.args
    if A.is_scalar and B.is_scalar:
        return "multiply_gate"
    if node.is_scalar:
        return "inner_product"
    if A.cols == ONE:
        return "outer_product"
    return "linear_map" if B.cols == ONE else "matmul"


def _kind_of_norm(node: Expr) -> str:
    return "euclidean_norm" if node.args[0].cols == ONE else "frobenius_norm"


def _kind_of_base(node: Expr) -> str | None:
    """`exp2` is 2 to the power of each entry; `power` has one exponent for all entries."""
    x, p = node.args
    return "exp2" if x == number(2) else "power" if p.is_scalar else None


ADJOINTS: dict[str, Adjoint] = {
    **{name: Adjoint(_entrywise(slope)) for name, slope in SLOPES.items()},
    **{name: Adjoint(_entrywise(SLOPES[name]), _always(name)) for name in ("sigmoid", "tanh", "softplus", "relu")},
    "sqrt": Adjoint(_entrywise(SLOPES["sqrt"]), _always("power")),
    "add": Adjoint(lambda _, adjoint: (adjoint, adjoint), _by_kind("add_gate", "matrix_sum")),
    "sub": Adjoint(lambda _, adjoint: (adjoint, minus(adjoint)), _by_kind("add_gate", "matrix_sum")),
    "scale": Adjoint(lambda node, adjoint: (inner(adjoint, node.args[1]), scaled(node.args[0], adjoint)), _by_kind("multiply_gate", None)),
    "divide": Adjoint(_divide),
    "hadamard": Adjoint(
        lambda node, adjoint: (by_entry(node.args[1], adjoint), by_entry(node.args[0], adjoint)), _by_kind("multiply_gate", "hadamard")
    ),
    "quotient": Adjoint(_quotient),
    "power": Adjoint(_power, _kind_of_base),
    "maximum": Adjoint(_larger(sign=1), _always("max_gate")),
    "minimum": Adjoint(_larger(sign=-1), _always("max_gate")),
    "matmul": Adjoint(_matmul, _kind_of_product),
    "transpose": Adjoint(_linear(lambda adjoint, _: flipped(adjoint)), _always("transpose")),
    "inv": Adjoint(_inv, _always("inverse")),
    "pinv": Adjoint(_pinv, _always("pseudo_inverse")),
    "matpow": Adjoint(_matpow, lambda node: "matrix_cube" if node.data == 3 else "matrix_polynomial" if node.data == 2 else None),
    "expm": Adjoint(_expm, _always("matrix_exponential")),
    "sqrtm": Adjoint(_sqrtm, _always("spd_square_root")),
    "logm": Adjoint(_logm, _always("spd_logarithm")),
    "kron": Adjoint(_kron, _always("kronecker")),
    "trace": Adjoint(_linear(lambda adjoint, X: scaled(adjoint, filled("eye", X.rows, X.rows))), _always("matrix_trace")),
    "det": Adjoint(lambda node, adjoint: (scaled(adjoint, scaled(node, flipped(make("inv", node.args[0])))),), _always("det")),
    "logdet": Adjoint(_linear(lambda adjoint, X: scaled(adjoint, flipped(make("inv", X)))), _always("logdet")),
    "logabsdet": Adjoint(_linear(lambda adjoint, X: scaled(adjoint, flipped(make("inv", X)))), _always("log_abs_det")),
    "sum": Adjoint(_linear(lambda adjoint, X: scaled(adjoint, ones(X)))),
    "prod": Adjoint(lambda node, adjoint: (scaled(adjoint, scaled(node, _reciprocal(node.args[0]))),), _always("entry_product")),
    "max": Adjoint(_extreme(sign=1), _always("maximum")),
    "min": Adjoint(_extreme(sign=-1), _always("maximum")),
    "logsumexp": Adjoint(_log_sum_exp, _always("logsumexp")),
    "norm": Adjoint(lambda node, adjoint: (scaled(adjoint, over(node.args[0], node)),), _kind_of_norm),
    "norm1": Adjoint(_sum_of_norm, _always("one_norm")),
    "entry": Adjoint(_entry),
    "softmax": Adjoint(_softmax, _always("softmax")),
    "cumsum": Adjoint(_cumsum, _always("partial_sums")),
    "diag": Adjoint(_linear(lambda adjoint, _: make("diagonal", adjoint)), _always("diag_embed")),
    "diagonal": Adjoint(_linear(lambda adjoint, _: make("diag", adjoint)), _always("diag_extract")),
    "vec": Adjoint(_linear(_from_columns), _always("vec")),
    "tril": Adjoint(_triangle, _always("lower_triangle")),
    "triu": Adjoint(_triangle, _always("lower_triangle")),
    "hollow": Adjoint(_linear(lambda adjoint, _: make("hollow", adjoint))),
    "block": Adjoint(_block, _always("block_matrix")),
}
"""The backward rules. Operations without one (`sort`, `digamma`, `nuclear`, `spectral`) have derivatives that need a permutation,
a further function or a singular value decomposition, for which the language has no word."""
