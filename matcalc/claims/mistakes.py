"""Wrong backward rules, as people write them: what comes out if one of them stands in the place of the right one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from matcalc.claims.bench import Bench
from matcalc.derivation.adjoints import SLOPES, Pull, Shares, Slope, shares
from matcalc.derivation.building import by_entry, flipped, inner, minus, ones, scaled, times, to_power
from matcalc.derivation.reverse import prepared
from matcalc.formula.expression import Expr, FormulaError
from matcalc.formula.operations import filled, make, number

HALF = number(Fraction(1, 2))
MOST_NODES = 24
"Operations of a function whose rules are exchanged."


@dataclass(frozen=True)
class Mistake:
    """A wrong rule for one operation: which kind of mistake it is, what it does in words, and the wrong share of the adjoint."""

    kind: str
    says: str  # with {node} for the operation it is applied to
    rule: Pull
    cost: float = 0.0

    def pull(self, target: Expr | None, op: str) -> Pull:
        """The rules with this one in place, at one node, or at all of this operation."""

        def pulled(node: Expr, adjoint: Expr) -> Shares:
            if node == target or (target is None and node.op == op):
                return self.rule(node, adjoint)
            return shares(node, adjoint)

        return pulled


def mistaken(bench: Bench) -> Iterator[tuple[Mistake, Expr, Expr]]:
    """Every derivative that one wrong rule leads to: the mistake, the operation, and the derivative."""
    f = prepared(bench.question.target)
    wrt = bench.question.wrt.name
    nodes = [node for node in f.nodes() if wrt in node.names and node.args][::-1][:MOST_NODES]
    counts = {node.op: sum(other.op == node.op for other in nodes) for node in nodes}
    for node in nodes:
        for mistake in mistakes(node):
            try:
                found = bench.derived(pull=mistake.pull(node, node.op))
            except FormulaError:
                continue
            if found is not None:
                yield mistake, node, found
    for op in [op for op, count in counts.items() if count > 1]:
        first = next(node for node in nodes if node.op == op)
        for mistake in mistakes(first):
            if mistake.kind in {"inverse_rule", "elementwise_derivative", "chain_missing"} and op not in {"matmul", "scale", "hadamard"}:
                try:
                    found = bench.derived(pull=mistake.pull(None, op))
                except FormulaError:
                    continue
                if found is not None:
                    yield mistake, first, found


def mistakes(node: Expr) -> Iterator[Mistake]:
    """What is done wrong about an operation."""
    if node.op in SLOPES and node.op != "neg":
        yield from _of_functions(node)
    if node.op in _RULES:
        yield from _RULES[node.op](node)


# --- functions of entries ----------------------------------------------------------------------------------------------------------

_SLOPES: list[tuple[str, Slope]] = [
    ("the value itself", lambda _, y: y),
    ("1 - value", lambda _, y: make("sub", ones(y), y)),
    ("1 - value²", lambda _, y: make("sub", ones(y), to_power(y, 2))),
    ("1 + value²", lambda _, y: make("add", ones(y), to_power(y, 2))),
    ("value (1 - value)", lambda _, y: by_entry(y, make("sub", ones(y), y))),
    ("value (1 + value)", lambda _, y: by_entry(y, make("add", ones(y), y))),
    ("value²", lambda _, y: to_power(y, 2)),
    ("1/value", lambda _, y: _one_over(y)),
    ("the argument itself", lambda x, _: x),
    ("1/x", lambda x, _: _one_over(x)),
    ("x²", lambda x, _: to_power(x, 2)),
    ("1/x²", lambda x, _: _one_over(to_power(x, 2))),
    ("-1/x", lambda x, _: minus(_one_over(x))),
    ("2 x", lambda x, _: scaled(number(2), x)),
    ("cos x", lambda x, _: make("cos", x)),
    ("-cos x", lambda x, _: minus(make("cos", x))),
    ("sin x", lambda x, _: make("sin", x)),
    ("exp x", lambda x, _: make("exp", x)),
    ("log x", lambda x, _: make("log", x)),
    ("|x|", lambda x, _: make("abs", x)),
    ("the sign of x", lambda x, _: make("sign", x)),
    ("the sigmoid of x", lambda x, _: make("sigmoid", x)),
    ("the sigmoid of -x", lambda x, _: make("sigmoid", minus(x))),
    ("the tanh of x", lambda x, _: make("tanh", x)),
    ("x (1 - x)", lambda x, _: by_entry(x, make("sub", ones(x), x))),
    ("1 - x²", lambda x, _: make("sub", ones(x), to_power(x, 2))),
]


def _one_over(x: Expr) -> Expr:
    return make("divide", number(1), x) if x.is_scalar else make("quotient", ones(x), x)


def _of_functions(node: Expr) -> Iterator[Mistake]:
    yield _left_out(node)
    kind = "outer_chain" if node.is_scalar else "elementwise_derivative"
    slope = SLOPES[node.op]
    if slope is not None:
        for text, factor in (("the negative of its derivative", -1), ("twice its derivative", 2), ("half of its derivative", 0.5)):
            yield Mistake(kind, f"{text} was taken for that of {{node}}", _with(_times(factor, slope)), 0.1)
    for k, (text, wrong) in enumerate(_SLOPES):
        yield Mistake(kind, f"{text} was taken for the derivative of {{node}}", _with(wrong), 0.01 * k)


def _left_out(node: Expr) -> Mistake:
    return Mistake(
        "outer_chain" if node.is_scalar else "chain_missing",
        f"the derivative of {node.op} is left out at {{node}}",
        lambda _, adjoint: (adjoint,),
        -0.05,
    )


def _times(factor: float, slope: Slope) -> Slope:
    return lambda x, y: scaled(number(factor), slope(x, y))


def _with(slope: Slope) -> Callable[[Expr, Expr], Shares]:
    return lambda node, adjoint: (by_entry(slope(node.args[0], node), adjoint),)


def _of_power(node: Expr) -> Iterator[Mistake]:
    x, p = node.args
    if not p.is_scalar or x.shape != node.shape:
        return
    if p.names:
        yield from _of_exponents(node)
    kind = "outer_chain" if node.is_scalar else "elementwise_derivative"
    less, more = (number(p.data + k) if isinstance(p.data, Fraction) else make("add", p, number(k)) for k in (-1, 1))
    wrong = [
        ("the factor {p} is left out", lambda: _raised(x, less)),
        ("the exponent is not lowered", lambda: scaled(p, node)),
        ("the power is left as it was", lambda: node),
        ("only the exponent comes down", lambda: scaled(p, ones(x))),
        ("the exponent comes down, but x is not to the power less one", lambda: scaled(p, x)),
        ("the exponent is lowered in front too", lambda: scaled(less, _raised(x, less))),
        ("the integral of the power is taken", lambda: scaled(_one_over(more), _raised(x, more)) if more != number(0) else make("log", x)),
        ("the derivative of an absolute value is left out", lambda: scaled(p, _raised(make("abs", x), less))),
    ]
    yield Mistake(
        "outer_chain" if node.is_scalar else "chain_missing",
        "the derivative of the power is left out at {node}",
        lambda n, a: (a, shares(n, a)[1]),
        0.0,
    )
    for k, (text, slope) in enumerate(wrong):
        says = text.replace("{p}", _plain(p)) + " at {node}"
        yield Mistake(kind, says, _power_with(slope), 0.01 * k)


def _power_with(slope: Callable[[], Expr]) -> Pull:
    return lambda node, adjoint: (by_entry(slope(), adjoint), shares(node, adjoint)[1])


def _of_exponents(node: Expr) -> Iterator[Mistake]:
    x, p = node.args
    kind = "outer_chain" if node.is_scalar else "elementwise_derivative"
    wrong: tuple[tuple[str, str, Callable[[], Expr]], ...] = (
        ("chain_missing", "the factor log x is left out", lambda: node),
        (kind, "the rule for a power of the variable is used for the exponent", lambda: scaled(p, _raised(x, make("sub", p, number(1))))),
        (kind, "log x is all that is left", lambda: make("log", x)),
    )
    for k, (each, text, slope) in enumerate(wrong):
        yield Mistake(each, text + " at {node}", _exponent_with(slope), 0.01 * k)


def _exponent_with(slope: Callable[[], Expr]) -> Pull:
    return lambda node, adjoint: (shares(node, adjoint)[0], inner(slope(), adjoint))


def _plain(p: Expr) -> str:
    return str(p.data) if p.op == "number" else repr(p)


def _raised(x: Expr, p: Expr) -> Expr:
    if p == number(0):
        return ones(x)
    return x if p == number(1) else make("power", x, p)


# --- inverses, determinants, norms ---------------------------------------------------------------------------------------------------


def _of_inv(_: Expr) -> Iterator[Mistake]:
    wrong: list[tuple[str, Slope]] = [
        ("the minus sign of d(X⁻¹) = -X⁻¹ dX X⁻¹ is missing", lambda Y, a: times(flipped(Y), a, flipped(Y))),
        ("the second inverse of -X⁻¹ dX X⁻¹ is missing", lambda Y, a: minus(times(flipped(Y), a))),
        ("the first inverse of -X⁻¹ dX X⁻¹ is missing", lambda Y, a: minus(times(a, flipped(Y)))),
        ("both inverses of -X⁻¹ dX X⁻¹ are missing", lambda _, a: minus(a)),
        ("the rule for the inverse is left out", lambda _, a: a),
        ("the minus sign and the second inverse of -X⁻¹ dX X⁻¹ are missing", lambda Y, a: times(flipped(Y), a)),
        ("the minus sign and the first inverse of -X⁻¹ dX X⁻¹ are missing", lambda Y, a: times(a, flipped(Y))),
        ("the inverses of -X⁻¹ dX X⁻¹ stand on one side", lambda Y, a: minus(times(a, flipped(Y), flipped(Y)))),
        ("the inverses of -X⁻¹ dX X⁻¹ stand on one side", lambda Y, a: minus(times(flipped(Y), flipped(Y), a))),
        ("the inverses are not transposed", lambda Y, a: minus(times(Y, a, Y))),
        ("the inverses are not transposed and the minus sign is missing", lambda Y, a: times(Y, a, Y)),
        ("X stands where X⁻¹ should", lambda Y, a: minus(times(flipped(Y.args[0]), a, flipped(Y.args[0])))),
        ("an inverse is taken of the adjoint", lambda _, a: minus(make("inv", a)) if a.is_square else a),
        ("the inverses stand entry by entry", lambda Y, a: minus(by_entry(to_power(flipped(Y), 2), a))),
    ]
    for k, (text, rule) in enumerate(wrong):
        kind = "inner_transpose" if text == "the inverses are not transposed" else "inverse_rule"
        more = 0.3 if k > 8 else 0.01 * k
        yield Mistake(kind, f"{text}, at {{node}}", _alone(rule), more)


def _alone(rule: Slope) -> Pull:
    """A share of the only operand."""
    return lambda node, adjoint: (rule(node, adjoint),)


def _of_det(node: Expr) -> Iterator[Mistake]:
    (X,) = node.args
    yield Mistake("outer_chain", "the factor det is left out at {node}", lambda _, a: (scaled(a, flipped(make("inv", X))),))
    yield Mistake("inverse_rule", "the inverse is left out at {node}", lambda n, a: (scaled(a, scaled(n, flipped(X))),), 0.1)
    yield Mistake("inner_transpose", "the inverse is not transposed at {node}", lambda n, a: (scaled(a, scaled(n, make("inv", X))),), 0.1)


def _of_log_det(node: Expr) -> Iterator[Mistake]:
    (X,) = node.args
    det = make("det", X)
    yield Mistake("inverse_rule", "the inverse is left out at {node}", lambda _, a: (scaled(a, flipped(X)),))
    yield Mistake("inverse_rule", "the inverse is left out at {node}", lambda _, a: (scaled(a, X),))
    yield Mistake("inner_transpose", "the inverse is not transposed at {node}", lambda _, a: (scaled(a, make("inv", X)),), 0.1)
    yield Mistake("outer_chain", "1/det is all that is left at {node}", lambda _, a: (scaled(a, scaled(_one_over(det), ones(X))),), 0.1)
    yield Mistake(
        "outer_chain",
        "the derivative of det is taken without that of log at {node}",
        lambda _, a: (scaled(a, scaled(det, flipped(make("inv", X)))),),
    )


def _of_norm(node: Expr) -> Iterator[Mistake]:
    (X,) = node.args
    yield Mistake("outer_chain", "the norm is taken for its square at {node}", lambda _, a: (scaled(a, scaled(number(2), X)),))
    yield Mistake("outer_chain", "the division by the norm is left out at {node}", lambda _, a: (scaled(a, X),))
    yield Mistake("outer_chain", "1/norm is all that is left at {node}", lambda n, a: (scaled(a, scaled(_one_over(n), ones(X))),), 0.1)
    yield Mistake(
        "outer_chain", "1/(2 norm) is taken at {node}", lambda n, a: (scaled(a, scaled(make("scale", HALF, _one_over(n)), X)),), 0.1
    )


def _of_norm1(node: Expr) -> Iterator[Mistake]:
    (X,) = node.args
    wrong = (("x", X), ("2 x", scaled(number(2), X)), ("|x|", make("abs", X)), ("1", ones(X)), ("-sign x", minus(make("sign", X))))
    for k, (text, slope) in enumerate(wrong):
        says = f"{text} was taken for the derivative of each |x| at {{node}}"
        yield Mistake("elementwise_derivative", says, _scaling(slope), 0.01 * k)


def _scaling(slope: Expr) -> Pull:
    return lambda _, a: (scaled(a, slope),)


def _of_sum(node: Expr) -> Iterator[Mistake]:
    if node.args[0].is_square:
        X = node.args[0]
        yield Mistake(
            "elementwise_vs_matrix", "the sum is taken for a trace at {node}", lambda _, a: (scaled(a, filled("eye", X.rows, X.cols)),), 0.2
        )


def _of_trace(node: Expr) -> Iterator[Mistake]:
    X = node.args[0]
    yield Mistake(
        "elementwise_vs_matrix", "the trace is taken for the sum of all entries at {node}", lambda _, a: (scaled(a, ones(X)),), 0.2
    )


def _of_softmax(_: Expr) -> Iterator[Mistake]:
    def one_minus(y: Expr) -> Expr:
        return make("sub", ones(y), y)

    yield Mistake(
        "elementwise_vs_matrix",
        "softmax is treated as a function of each entry for itself, with derivative s(1 - s), at {node}",
        lambda y, a: (by_entry(by_entry(y, one_minus(y)), a),),
    )
    yield Mistake("missing_term", "the part -s sᵀ of the derivative of softmax is missing at {node}", lambda y, a: (by_entry(y, a),), 0.1)
    yield Mistake("chain_missing", "the derivative of softmax is left out at {node}", lambda _, a: (a,), 0.1)
    yield Mistake(
        "term_sign",
        "the part -s sᵀ of the derivative of softmax has the wrong sign at {node}",
        lambda y, a: (by_entry(y, make("add", a, scaled(inner(y, a), ones(y)))),),
        0.1,
    )


def _of_log_sum_exp(node: Expr) -> Iterator[Mistake]:
    (X,) = node.args
    yield Mistake("outer_chain", "the division by the sum is left out at {node}", lambda _, a: (scaled(a, make("exp", X)),))
    yield Mistake(
        "outer_chain",
        "1 / the sum is all that is left at {node}",
        lambda n, a: (scaled(a, scaled(_one_over(make("exp", n)), ones(X))),),
        0.1,
    )
    yield Mistake("elementwise_derivative", "log and exp are taken to cancel at {node}", lambda _, a: (scaled(a, ones(X)),), 0.1)


def _of_prod(node: Expr) -> Iterator[Mistake]:
    (X,) = node.args
    wrong = (
        ("chain_missing", "the division by the entries is left out at {node}", scaled(node, ones(X))),
        ("outer_chain", "the product itself is left out at {node}", _one_over(X)),
        ("elementwise_derivative", "the entries multiply the product, which should be divided by them, at {node}", scaled(node, X)),
        ("chain_missing", "the other factors are left out at {node}", ones(X)),
    )
    for k, (kind, text, slope) in enumerate(wrong):
        yield Mistake(kind, text, _scaling(slope), 0.01 * k)


def _of_expm(node: Expr) -> Iterator[Mistake]:
    (X,) = node.args
    yield Mistake(
        "elementwise_vs_matrix", "the matrix exponential is treated entry by entry at {node}", lambda _, a: (by_entry(make("exp", X), a),)
    )
    yield Mistake(
        "product_order", "the argument is taken to commute with its differential at {node}", lambda n, a: (times(a, flipped(n)),), 0.1
    )
    yield Mistake(
        "product_order", "the argument is taken to commute with its differential at {node}", lambda n, a: (times(flipped(n), a),), 0.1
    )
    yield Mistake("chain_missing", "the derivative of the matrix exponential is left out at {node}", lambda _, a: (a,), 0.1)


# --- products ------------------------------------------------------------------------------------------------------------------------


def _fitting(share: Callable[[], Expr], wanted: Expr) -> Expr | None:
    """A wrong share, if it has the shape of the operand."""
    try:
        found = share()
    except FormulaError:
        return None
    return found if found.shape == wanted.shape else None


def _of_matmul(node: Expr) -> Iterator[Mistake]:
    A, B = node.args
    right: tuple[tuple[str, str, Callable[[Expr], Expr]], ...] = (
        ("chain_missing", "the factor after it is left out at {node}", lambda a: a),
        ("inner_transpose", "the factor after it is not transposed at {node}", lambda a: times(a, B)),
        ("product_order", "the factor after it stands on the wrong side at {node}", lambda a: times(flipped(B), a)),
    )
    left: tuple[tuple[str, str, Callable[[Expr], Expr]], ...] = (
        ("chain_missing", "the factor before it is left out at {node}", lambda a: a),
        ("inner_transpose", "the factor before it is not transposed at {node}", lambda a: times(A, a)),
        ("product_order", "the factor before it stands on the wrong side at {node}", lambda a: times(a, flipped(A))),
    )
    for kind, text, rule in right:
        yield Mistake(kind, text, _left_operand(rule), 0.1)
    for kind, text, rule in left:
        yield Mistake(kind, text, _right_operand(rule), 0.1)


def _left_operand(rule: Callable[[Expr], Expr]) -> Pull:
    return lambda node, a: (_fitting(lambda: rule(a), node.args[0]), shares(node, a)[1])


def _right_operand(rule: Callable[[Expr], Expr]) -> Pull:
    return lambda node, a: (shares(node, a)[0], _fitting(lambda: rule(a), node.args[1]))


def _of_hadamard(_: Expr) -> Iterator[Mistake]:
    yield Mistake("chain_missing", "the factor beside it is left out at {node}", lambda n, a: (a, shares(n, a)[1]), 0.1)
    yield Mistake("chain_missing", "the factor beside it is left out at {node}", lambda n, a: (shares(n, a)[0], a), 0.1)
    yield Mistake(
        "wrong_operand", "the factors stay where they were at {node}", lambda n, a: (by_entry(n.args[0], a), by_entry(n.args[1], a)), 0.2
    )
    yield Mistake("chain_missing", "the product stays as it is at {node}", lambda n, a: (by_entry(n, a), shares(n, a)[1]), 0.3)


def _of_scale(_: Expr) -> Iterator[Mistake]:
    yield Mistake("chain_missing", "the scalar factor is left out at {node}", lambda n, a: (shares(n, a)[0], a), 0.1)


def _of_divide(_: Expr) -> Iterator[Mistake]:
    def wrong_square(n: Expr, a: Expr) -> Shares:
        X, c = n.args
        return shares(n, a)[0], minus(make("divide", inner(a, X), c))

    yield Mistake("chain_missing", "the divisor is left out at {node}", lambda n, a: (a, shares(n, a)[1]), 0.1)
    yield Mistake("elementwise_derivative", "the divisor is not squared at {node}", wrong_square, 0.1)
    yield Mistake(
        "elementwise_derivative",
        "the square of the divisor divides everything at {node}",
        lambda n, a: (shares(n, make("divide", a, n.args[1]))[0], shares(n, a)[1]),
        0.2,
    )
    yield Mistake("term_sign", "the quotient rule has a plus at {node}", lambda n, a: (shares(n, a)[0], minus(shares(n, a)[1] or a)), 0.1)


def _of_quotient(_: Expr) -> Iterator[Mistake]:
    def wrong_square(n: Expr, a: Expr) -> Shares:
        x, y = n.args
        return shares(n, a)[0], minus(make("quotient", by_entry(a, x), y))

    yield Mistake("chain_missing", "the divisor is left out at {node}", lambda n, a: (a, shares(n, a)[1]), 0.1)
    yield Mistake("elementwise_derivative", "the divisor is not squared at {node}", wrong_square, 0.1)
    yield Mistake(
        "elementwise_derivative",
        "the integral log y of 1/y is taken at {node}",
        lambda n, a: (shares(n, a)[0], by_entry(make("log", n.args[1]), by_entry(n.args[0], a))),
        0.2,
    )
    yield Mistake(
        "elementwise_derivative",
        "1/y was taken for the derivative of x/y at {node}",
        lambda n, a: (shares(n, a)[0], make("quotient", a, n.args[1])),
        0.1,
    )
    yield Mistake(
        "chain_missing",
        "the numerator is left out at {node}",
        lambda n, a: (shares(n, a)[0], minus(make("quotient", a, to_power(n.args[1], 2)))),
        0.1,
    )
    yield Mistake(
        "chain_missing", "the numerator is left out at {node}", lambda n, a: (shares(n, a)[0], minus(make("quotient", a, n.args[1]))), 0.2
    )
    yield Mistake("term_sign", "the quotient rule has a plus at {node}", lambda n, a: (shares(n, a)[0], minus(shares(n, a)[1] or a)), 0.1)


_RULES: dict[str, Callable[[Expr], Iterator[Mistake]]] = {
    "power": _of_power,
    "inv": _of_inv,
    "det": _of_det,
    "logdet": _of_log_det,
    "logabsdet": _of_log_det,
    "norm": _of_norm,
    "norm1": _of_norm1,
    "sum": _of_sum,
    "trace": _of_trace,
    "softmax": _of_softmax,
    "logsumexp": _of_log_sum_exp,
    "prod": _of_prod,
    "expm": _of_expm,
    "matmul": _of_matmul,
    "hadamard": _of_hadamard,
    "scale": _of_scale,
    "divide": _of_divide,
    "quotient": _of_quotient,
}
