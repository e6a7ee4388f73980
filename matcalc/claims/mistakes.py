"""Wrong backward rules, as people write them: what comes out if one of them stands in the place of the right one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

from matcalc.claims.bench import Bench
from matcalc.claims.question import Question
from matcalc.derivation.adjoints import SLOPES, Pull, Shares, Slope, shares
from matcalc.derivation.building import by_entry, flipped, inner, minus, ones, scaled, times, to_power
from matcalc.derivation.reverse import prepared
from matcalc.formula.expression import Expr, FormulaError
from matcalc.formula.operations import filled, make, number

HALF = number(Fraction(1, 2))
Wrong = Callable[[Expr, Expr], Expr | None]
"A wrong share of one operand, from the operation and its adjoint."
LEARNT = {"inverse_rule", "elementwise_derivative", "chain_missing"}
"Mistakes that are made at all operations of a kind, if at one."
MOST_NODES = 24
"Operations of a function whose rules are exchanged."


@dataclass(frozen=True)
class Mistake:
    """A wrong rule for one operation: which kind of mistake it is, what it does in words, and the wrong share of the adjoint."""

    kind: str
    says: str  # with {node} for the operation it is applied to
    rule: Pull
    cost: float = 0.0


def mistaken(bench: Bench) -> Iterator[tuple[Mistake, Expr, Expr]]:
    """Every derivative that one wrong rule leads to: the mistake, the operation, and the derivative."""
    for mistake, node, pull in _tries(bench.question):
        found = bench.derived(pull=pull)
        if found is not None:
            yield mistake, node, found


def _tries(question: Question) -> Iterator[tuple[Mistake, Expr, Pull]]:
    """Each mistake at each operation; then at all operations of a kind, as somebody makes it who has learnt a wrong rule."""
    nodes = [node for node in prepared(question.target).nodes() if question.wrt.name in node.names and node.args][::-1][:MOST_NODES]
    for node in nodes:
        yield from ((mistake, node, _at(node, mistake.rule)) for mistake in mistakes(node))
    for op, count in Counter(node.op for node in nodes).items():
        if count > 1 and op not in {"matmul", "scale", "hadamard"}:
            first = next(node for node in nodes if node.op == op)
            yield from ((mistake, first, _everywhere(op, k)) for k, mistake in enumerate(mistakes(first)) if mistake.kind in LEARNT)


def _at(target: Expr, rule: Pull) -> Pull:
    """The right rules, but for a wrong one at one operation."""
    return lambda node, adjoint: rule(node, adjoint) if node == target else shares(node, adjoint)


def _everywhere(op: str, k: int) -> Pull:
    """The right rules, but for the mistake number k at every operation of a kind."""

    def pull(node: Expr, adjoint: Expr) -> Shares:
        wrong = islice(mistakes(node), k, None) if node.op == op else iter(())
        rule = next((mistake.rule for mistake in wrong), shares)
        return rule(node, adjoint)

    return pull


def mistakes(node: Expr) -> Iterator[Mistake]:
    """What is done wrong about an operation."""
    if node.op in SLOPES and node.op != "neg":
        yield from _of_functions(node)
    if node.op in _RULES:
        yield from _RULES[node.op](node)


def _first(rule: Wrong) -> Pull:
    """A wrong share of the first of two operands, beside the right one of the second."""
    return lambda node, adjoint: (rule(node, adjoint), shares(node, adjoint)[1])


def _second(rule: Wrong) -> Pull:
    """A wrong share of the second operand, beside the right one of the first."""
    return lambda node, adjoint: (shares(node, adjoint)[0], rule(node, adjoint))


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
    factor = f"factor {p.data}" if p.op == "number" else "exponent in front"
    wrong = [
        (f"the {factor} is left out", _raised(x, less)),
        ("the exponent is not lowered", scaled(p, node)),
        ("the power is left as it was", node),
        ("only the exponent comes down", scaled(p, ones(x))),
        ("the exponent comes down, but x is not to the power less one", scaled(p, x)),
        ("the exponent is lowered in front too", scaled(less, _raised(x, less))),
        ("the integral of the power is taken", scaled(_one_over(more), _raised(x, more)) if more != number(0) else make("log", x)),
        ("the derivative of an absolute value is left out", scaled(p, _raised(make("abs", x), less))),
    ]
    yield Mistake(
        "outer_chain" if node.is_scalar else "chain_missing",
        "the derivative of the power is left out at {node}",
        _first(lambda _, a: a),
    )
    for k, (text, slope) in enumerate(wrong):
        yield Mistake(kind, text + " at {node}", _first(_by_entry(slope)), 0.01 * k)


def _of_exponents(node: Expr) -> Iterator[Mistake]:
    x, p = node.args
    kind = "outer_chain" if node.is_scalar else "elementwise_derivative"
    wrong = (
        ("chain_missing", "the factor log x is left out", node),
        (kind, "the rule for a power of the variable is used for the exponent", scaled(p, _raised(x, make("sub", p, number(1))))),
        (kind, "log x is all that is left", make("log", x)),
    )
    for k, (each, text, slope) in enumerate(wrong):
        yield Mistake(each, text + " at {node}", _second(_summed(slope)), 0.01 * k)


def _by_entry(slope: Expr) -> Wrong:
    return lambda _, adjoint: by_entry(slope, adjoint)


def _summed(slope: Expr) -> Wrong:
    return lambda _, adjoint: inner(slope, adjoint)


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


def _fitting(rule: Callable[[Expr], Expr], operand: Expr) -> Wrong:
    """A wrong share; FormulaError where it has not the shape of the operand, so that nobody can have made the mistake there."""

    def share(_: Expr, adjoint: Expr) -> Expr:
        found = rule(adjoint)
        if found.shape != operand.shape:
            raise FormulaError(f"the adjoint of a {operand.rows} by {operand.cols} operand is {found.rows} by {found.cols}")
        return found

    return share


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
        yield Mistake(kind, text, _first(_fitting(rule, A)), 0.1)
    for kind, text, rule in left:
        yield Mistake(kind, text, _second(_fitting(rule, B)), 0.1)


def _of_hadamard(_: Expr) -> Iterator[Mistake]:
    yield Mistake("chain_missing", "the factor beside it is left out at {node}", _first(lambda _, a: a), 0.1)
    yield Mistake("chain_missing", "the factor beside it is left out at {node}", _second(lambda _, a: a), 0.1)
    yield Mistake(
        "wrong_operand", "the factors stay where they were at {node}", lambda n, a: (by_entry(n.args[0], a), by_entry(n.args[1], a)), 0.2
    )
    yield Mistake("chain_missing", "the product stays as it is at {node}", _first(by_entry), 0.3)


def _of_scale(_: Expr) -> Iterator[Mistake]:
    yield Mistake("chain_missing", "the scalar factor is left out at {node}", _second(lambda _, a: a), 0.1)


def _of_division(node: Expr) -> Iterator[Mistake]:
    """What is done wrong about x/y, whether y is a number or divides entry by entry."""
    x, y = node.args
    together = inner if node.op == "divide" else by_entry
    kind = "elementwise_derivative"
    yield Mistake("chain_missing", "the divisor is left out at {node}", _first(lambda _, a: a), 0.1)
    yield Mistake(kind, "the divisor is not squared at {node}", _second(lambda _, a: minus(make(node.op, together(a, x), y))), 0.1)
    yield Mistake("term_sign", "the quotient rule has a plus at {node}", lambda n, a: (shares(n, a)[0], minus(shares(n, a)[1] or a)), 0.1)


def _of_divide(node: Expr) -> Iterator[Mistake]:
    yield from _of_division(node)
    twice = _first(lambda n, a: make("divide", make("divide", a, n.args[1]), n.args[1]))
    yield Mistake("elementwise_derivative", "the square of the divisor divides everything at {node}", twice, 0.2)


def _of_quotient(node: Expr) -> Iterator[Mistake]:
    x, y = node.args
    yield from _of_division(node)
    wrong: tuple[tuple[str, str, Wrong, float], ...] = (
        ("elementwise_derivative", "the integral log y of 1/y is taken", lambda _, a: by_entry(make("log", y), by_entry(x, a)), 0.2),
        ("elementwise_derivative", "1/y was taken for the derivative of x/y", lambda _, a: make("quotient", a, y), 0.1),
        ("chain_missing", "the numerator is left out", lambda _, a: minus(make("quotient", a, to_power(y, 2))), 0.1),
        ("chain_missing", "the numerator is left out", lambda _, a: minus(make("quotient", a, y)), 0.2),
    )
    for kind, text, rule, cost in wrong:
        yield Mistake(kind, text + " at {node}", _second(rule), cost)


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
