"""Derivations against dual numbers, which know nothing of adjoints, and against what a person would write."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matcalc.catalogue import installed
from matcalc.derivation import Derivation, agree, cost, derive, differential, hessian, interior, jacobian, paths, simplified
from matcalc.derivation.adjoints import ADJOINTS, catalogue_rule, shares
from matcalc.derivation.building import TooLongError, flipped, inner, interned, minus, scaled
from matcalc.derivation.graphing import graph
from matcalc.derivation.numbers import APPROXIMATE, inputs_of, random_point, sizes_for
from matcalc.derivation.reverse import backward, marked
from matcalc.exact import Ball, BallDual, Dual, Field, FieldDual, NoExactFormError, UndefinedPointError, working_precision
from matcalc.formula import from_sample, parse, parse_pair, spell, variable
from matcalc.formula.expression import Expr, FormulaError
from matcalc.formula.operations import OPERATIONS, Point, evaluate, filled, make, name, number
from matcalc.formula.size import ONE, Size

CLAIMS = json.loads((Path(__file__).parent / "data" / "claims.json").read_text())
TRIALS = 20


def read(text: str, *declared: str) -> Expr:
    return parse(text, [variable(word) for word in declared]).expr


def text(expr: Expr) -> str:
    return spell(expr, "unicode", shape_known=True)


# --- the judge -----------------------------------------------------------------------------------------------------------------


def dual_point(exprs: list[Expr], wrt: str, kind: type[Dual], symmetric: frozenset[str], seed: int) -> Point:
    """Random inputs, with a random tangent on one of them."""
    rng = np.random.default_rng(seed)
    base: Any = kind.base
    plain = random_point(exprs, rng, base, symmetric, positive=kind is BallDual and seed % 2 == 1)
    inputs: dict[str, Any] = {key: kind.constant(value) for key, value in plain.inputs.items()}
    direction = base.random(rng, plain.inputs[wrt].shape)
    inputs[wrt] = kind(plain.inputs[wrt], direction + direction.mT if wrt in symmetric else direction)
    return Point(inputs, plain.sizes, kind.constant(0))


def is_derivative(f: Expr, wrt: str, claim: Expr, symmetric: frozenset[str] = frozenset()) -> bool | None:
    """Whether <claim, dX>, or the Jacobian times dx, is the tangent of f along random directions; None if nothing exact can tell."""
    rounded = any(node.op in APPROXIMATE for expr in (f, claim) for node in expr.nodes())
    for kind in () if rounded else (FieldDual, BallDual):
        seen = 0
        with working_precision():
            for seed in range(TRIALS):
                point = dual_point([f, claim], wrt, kind, symmetric, seed)
                try:
                    tangent = evaluate(f, point).tangent
                    value = evaluate(claim, Point({k: x.value for k, x in point.inputs.items()}, point.sizes, kind.base.constant(0)))
                except UndefinedPointError:
                    continue
                except NoExactFormError:
                    break
                if not same(tangent, applied(value, point.inputs[wrt].tangent, f)):
                    return False
                seen += 1
                if seen == 2:
                    return True
    return None


def applied(value: Any, direction: Any, f: Expr) -> Any:
    if f.is_scalar:
        return (value * direction).total()
    if direction.ndim == 0:
        return value * direction
    product = value @ (direction if direction.shape[1] == 1 else direction.mT)
    return product if f.cols == ONE else product.mT


def same(a: Any, b: Any) -> bool:
    if isinstance(a, Field):
        return bool(np.all(a.equals(b)))
    return all(x.overlaps(y) for x, y in zip(np.ravel(a.entries), np.ravel(b.entries), strict=True))


def test_the_judge_refutes_what_is_wrong() -> None:
    f = read("x.T @ A @ x", "A: real(n, n)", "x: real(n)")
    assert is_derivative(f, "x", read("(A + A.T) @ x", "A: real(n, n)", "x: real(n)")) is True
    assert is_derivative(f, "x", read("2 * A @ x", "A: real(n, n)", "x: real(n)")) is False
    assert is_derivative(f, "x", read("2 * A @ x", "A: symmetric(n)", "x: real(n)"), frozenset({"A"})) is True


# --- every operation -----------------------------------------------------------------------------------------------------------

X, Y, S = name("X", "n", "m"), name("Y", "n", "m"), name("S", "n", "n")
T, x, y, a, b = name("T", "n", "n"), name("x", "n"), name("y", "n"), name("a"), name("b")
SAMPLES: dict[str, list[Expr]] = {
    **{op: [make(op, X), make(op, a)] for op in OPERATIONS if OPERATIONS[op].shape.__name__ == "_as_it_is" and op not in {"tril", "triu"}},
    **{op: [make(op, X, Y), make(op, a, b)] for op in ("add", "sub", "hadamard", "quotient", "maximum", "minimum")},
    "scale": [make("scale", a, X), make("scale", a, b)],
    "divide": [make("divide", X, a), make("divide", a, b)],
    "power": [
        *(make("power", X, number(k)) for k in (0, 1, 2, 3, -1, Fraction(1, 2), Fraction(-3, 2))),
        *(make("power", u, v) for u, v in ((X, a), (a, X), (X, Y), (a, b), (number(2), X))),
    ],
    "matmul": [make("matmul", *pair) for pair in ((S, X), (S, x), (flipped(x), y), (x, flipped(y)), (flipped(x), S), (x, a), (a, b))],
    "matpow": [make("matpow", S, data=k) for k in (-3, -1, 0, 1, 2, 3, 5)],
    "kron": [make("kron", X, S), make("kron", x, y), make("trace", make("kron", S, T))],
    "pinv": [make("pinv", name("P", 3, 2)), make("pinv", name("P", 2, 3))],
    "entry": [make("entry", X, data=(0, 1)), make("entry", x, data=(1,))],
    "expm": [make("expm", S), make("trace", make("expm", S))],
    "logsumexp": [make("logsumexp", x), make("logsumexp", X)],
    "softmax": [make("softmax", x)],
    "cumsum": [make("cumsum", x)],
    "diag": [make("diag", x)],
    "vec": [make("vec", X), make("vec", x)],
    "block": [make("block", S, x, X, T, y, Y, data=3)],
    **{op: [make(op, X)] for op in ("transpose", "sum", "prod", "max", "min", "norm", "norm1")},
    **{op: [make(op, X), make(op, X, data=-1), make(op, X, data=1)] for op in ("tril", "triu")},
    **{op: [make(op, S)] for op in ("inv", "trace", "det", "logdet", "logabsdet", "diagonal", "hollow")},
    "sqrtm": [make("sqrtm", name("K", "n", "n")), make("trace", make("sqrtm", name("K", "n", "n")))],
    "logm": [make("trace", make("logm", name("K", "n", "n")))],
    "max_of_vector": [make("max", x)],
}


@pytest.mark.parametrize("node", [node for nodes in SAMPLES.values() for node in nodes if node.op in ADJOINTS], ids=repr)
def test_every_operation_agrees_with_dual_numbers(node: Expr) -> None:
    f = node if node.is_scalar else inner(name("W", *node.shape), node)
    for word in sorted(node.names):
        found = is_derivative(f, word, derive(f, word, checked=False).gradient)
        assert found is True or (found is None and by_differences(f, word))


def by_differences(f: Expr, wrt: str) -> bool:
    """The same by finite differences, for operations without an exact form."""
    for seed in range(TRIALS):
        rng = np.random.default_rng(seed)
        sizes = sizes_for([f], rng)
        values: dict[str, Any] = {}
        for key, node in inputs_of([f]).items():
            shape = () if node.is_scalar else (node.rows.at(sizes), node.cols.at(sizes))
            values[key] = rng.uniform(0.2, 0.8, shape) * rng.choice([-1, 1])
            if key == "K":
                values[key] = values[key] @ values[key].T + np.eye(len(values[key]))
        direction, point = rng.normal(size=values[wrt].shape), lambda v, s=sizes: Point(v, s, np.zeros(()))
        if wrt == "K":
            direction = direction + direction.T
        with np.errstate(all="ignore"):
            forward, backward = (evaluate(f, point({**values, wrt: values[wrt] + t * direction})) for t in (1e-5, -1e-5))
            gradient = evaluate(derive(f, wrt, checked=False).gradient, point(values))
        if np.isfinite(forward) and np.isfinite(backward):
            return bool(np.isclose((forward - backward) / 2e-5, np.sum(gradient * direction), rtol=1e-6))
    return False


def test_every_operation_has_a_rule_or_says_why_not() -> None:
    without = {"sort", "digamma", "nuclear", "spectral"}
    assert set(OPERATIONS) - set(ADJOINTS) == without
    for op in without:
        with pytest.raises(FormulaError, match=op):
            derive(make("sum", make(op, x)) if op in {"sort", "digamma"} else make(op, X), "x" if op in {"sort", "digamma"} else "X")


def test_the_rules_named_are_in_the_catalogue() -> None:
    known = {rule.name for rule in installed().rules}
    named = {catalogue_rule(node) for nodes in SAMPLES.values() for node in nodes}
    assert named - {None} <= known
    assert {"matmul", "linear_map", "outer_product", "inner_product", "inverse", "det", "logdet", "transpose", "exp2"} <= named


WRONG: dict[str, Callable[[Expr, Expr], tuple[Expr | None, ...]]] = {
    "inv": lambda node, adjoint: tuple(minus(part) for part in shares(node, adjoint) if part is not None),
    "transpose": lambda node, adjoint: (adjoint,),
    "logdet": lambda node, adjoint: (scaled(adjoint, make("inv", node.args[0])),),
    "exp": lambda node, adjoint: (adjoint,),
    "matmul": lambda node, adjoint: (shares(node, adjoint)[0], None),
}


@pytest.mark.parametrize(
    ("op", "f", "wrt"),
    [
        ("inv", "trace(B @ inv(A))", "A"),
        ("transpose", "trace(B @ A.T @ A)", "A"),
        ("logdet", "logdet(A)", "A"),
        ("exp", "sum(exp(A @ B))", "A"),
        ("matmul", "trace(A @ B @ A)", "A"),
    ],
)
def test_a_wrong_rule_is_caught(op: str, f: str, wrt: str) -> None:
    def pull(node: Expr, adjoint: Expr) -> tuple[Expr | None, ...]:
        return (WRONG[op] if node.op == op else shares)(node, adjoint)

    expr = read(f, "A: real(n, n)", "B: real(n, n)")
    assert is_derivative(expr, wrt, derive(expr, wrt, pull=shares).gradient) is True
    assert is_derivative(expr, wrt, derive(expr, wrt, pull=pull).gradient) is False
    values = {"A": [[2.0, 0.3], [-0.5, 1.0]], "B": [[0.2, 0.7], [1.0, -0.4]]}
    wrong = graph(expr, values, [wrt], pull=pull)
    assert all(step.agrees for step in graph(expr, values, [wrt]).steps)
    assert not all(step.agrees for step in wrong.steps)


# --- what a person would write -------------------------------------------------------------------------------------------------

n, mn = "real(n)", "real(m, n)"
TEN = [  # the examples of matrixcalculus.org
    ("0.5*x'*A*x", {"x": n, "A": "real(n, n)"}, "x", "½(A + Aᵀ)x"),
    ("0.5*x'*A*x", {"x": n, "A": "symmetric(n)"}, "x", "A x"),
    ("A*exp(x)", {"x": n, "A": mn}, "x", "A diag(exp(x))"),
    ("sin(x)'*y", {"x": n, "y": n}, "x", "cos(x) ⊙ y"),
    ("(y.*v)'*x", {"x": n, "y": n, "v": n}, "y", "v ⊙ x"),
    ("a^b", {"a": "positive", "b": "real"}, "a", "b a^(b - 1)"),
    ("a^b", {"a": "positive", "b": "real"}, "b", "a^b log(a)"),
    ("norm1(A*x-y)", {"A": mn, "x": n, "y": "real(m)"}, "x", "Aᵀsign(A x - y)"),
    ("norm2(A*x-y)^2", {"A": mn, "x": n, "y": "real(m)"}, "x", "2Aᵀ(A x - y)"),
    ("sum(log(exp(-y.*(X*w))+vector(1)))", {"X": mn, "w": n, "y": "real(m)"}, "w", "-Xᵀ(y ⊙ σ(-y ⊙ X w))"),
    ("tr(A*X'*B*X*C)", {"A": "real(p, n)", "X": mn, "B": "real(m, m)", "C": "real(n, p)"}, "X", "B X C A + BᵀX AᵀCᵀ"),
    ("log(det(inv(X)))", {"X": "real(n, n)"}, "X", "-X⁻ᵀ"),
]
SEEDS = [  # the problems of the five sources
    ("norm2(X*w-y)^2 + lambda*norm1(w)", {"X": mn, "w": n, "y": "real(m)", "lambda": "real"}, "w", "2Xᵀ(X w - y) + λ sign(w)"),
    ("-D/2*log(det(K))", {"D": "real", "K": "real(n, n)"}, "K", "-(D / 2)K⁻ᵀ"),
    ("-D/2*log(det(a*A*A'+1/b*eye(n)))", {"D": "real", "a": "real", "b": "real", "A": "real(n, m)"}, "A", "-a D(a A Aᵀ + I / b)⁻¹A"),
    (
        "-1/2*tr(inv(a*A*A'+1/b*eye(n))*B*B')",
        {"a": "real", "b": "real", "A": "real(n, m)", "B": "real(n, p)"},
        "A",
        "a(a A Aᵀ + I / b)⁻¹B Bᵀ(a A Aᵀ + I / b)⁻¹A",
    ),
    ("norm2(W'*W*x-x)^2", {"W": mn, "x": n}, "W", "2W((WᵀW x - x)xᵀ + x(WᵀW x - x)ᵀ)"),
    ("tr(A'*inv(P)*A)", {"A": "real(n, m)", "P": "real(n, n)"}, "A", "(P⁻¹ + P⁻ᵀ)A"),
    ("tr(A'*inv(P)*A)", {"A": "real(n, m)", "P": "spd(n)"}, "A", "2P⁻¹A"),
    ("tr(A'*inv(P)*A)", {"A": "real(n, m)", "P": "real(n, n)"}, "P", "-P⁻ᵀA AᵀP⁻ᵀ"),
    ("tr(A'*inv(P)*A)", {"A": "real(n, m)", "P": "spd(n)"}, "P", "-P⁻¹A AᵀP⁻¹"),
    ("-sum(y.*log(softmax(z)))", {"y": n, "z": n}, "z", "sum(y)softmax(z) - y"),
    ("-sum(y.*log(sigmoid(X*w))+(1-y).*log(1-sigmoid(X*w)))", {"X": mn, "w": n, "y": "real(m)"}, "w", "Xᵀ(σ(X w) - y)"),
    ("x^2+x*y+(x+y)^2", {"x": "real", "y": "real"}, "x", "4x + 3y"),
    ("1/2*norm2(y-W*x)^2", {"y": "real(m)", "W": mn, "x": n}, "W", "(W x - y)xᵀ"),
    ("sum(2.^(W*x))", {"W": mn, "x": n}, "x", "log(2)Wᵀ(2^(W x))"),
    ("softmax(x)", {"x": n}, "x", "diag(softmax(x)) - softmax(x)softmax(x)ᵀ"),
    ("sigmoid(W*x+b)", {"W": mn, "x": n, "b": "real(m)"}, "x", "diag(σ(W x + b) ⊙ (1 - σ(W x + b)))W"),
    ("tr(expm(X))", {"X": "real(n, n)"}, "X", "expm(X)ᵀ"),
    ("norm2(x)", {"x": n}, "x", "x / ‖x‖"),
    ("sum(abs(x).^3)", {"x": n}, "x", "3x ⊙ |x|"),
    ("det(a*X)", {"a": "positive", "X": "real(n, n)"}, "a", "n a^(n - 1)det(X)"),
    ("y'*X*inv(X'*X)*X'*y", {"X": mn, "y": "real(m)"}, "X", "2(y - X(XᵀX)⁻¹Xᵀy)yᵀX(XᵀX)⁻¹"),
    ("(X*b+c)'*D*(X*b+c)", {"X": mn, "b": n, "c": "real(m)", "D": "real(m, m)"}, "D", "(X b + c)(X b + c)ᵀ"),
    ("log(det(K))", {"K": "spd(n)"}, "K", "K⁻¹"),
    ("a*A*A'", {"a": "real", "A": mn}, "a", "A Aᵀ"),
]


@pytest.mark.parametrize(("f", "variables", "wrt", "expected"), TEN + SEEDS)
def test_the_form_is_what_a_person_would_write(f: str, variables: dict[str, str], wrt: str, expected: str) -> None:
    declared = [variable(f"{key}: {kind}") for key, kind in variables.items()]
    symmetric = frozenset(v.name for v in declared if v.domain in {"symmetric", "spd"})
    expr = parse(f, declared).expr
    found = derive(expr, next(v.name for v in declared if v.name == wrt), symmetric)
    assert text(found.gradient) == expected
    checked(found)


def checked(found: Derivation) -> None:
    """The derivative is right, so is every simplification, and the paths add up."""
    assert all(step.agrees in {True, None} for step in found.simplifications)
    answer = is_derivative(found.f, found.wrt, found.gradient, found.symmetric)
    assert answer is True or (answer is None and by_differences(found.f, found.wrt))


@pytest.mark.parametrize(
    ("f", "wrong"),
    [
        ("sum(sqrt(x**2))", "ones(n)"),
        ("sum((x**2)**1.5)", "3 * x**2"),
        ("sqrt(det(X)**2)", "det(X) * inv(X).T"),
        ("sum(sqrt(x * y))", "0.5 * sqrt(y) / sqrt(x)"),
    ],
)
def test_the_root_of_a_square_is_no_number_of_either_sign(f: str, wrong: str) -> None:
    wrt = "X" if "X" in f else "x"
    declared = [variable(word) for word in ("x: real(n)", "y: real(n)", "X: real(n, n)")]
    found = derive(parse(f, declared).expr, wrt)
    checked(found)
    assert found.gradient != simplified(parse(wrong, declared).expr)


def test_a_power_of_what_is_positive_goes_inside() -> None:
    assert text(simplified(read("sqrt(norm(x)**4)", "x: real(n)"))) == text(simplified(read("norm(x)**2", "x: real(n)")))
    assert simplified(read("sqrt(exp(x)**2)", "x: real(n)")) == read("exp(x)", "x: real(n)")


def test_a_formula_that_nobody_would_read_is_refused_at_once() -> None:
    f = read("sum(" + "softmax(" * 30 + "x" + ")" * 31, "x: real(n)")
    with pytest.raises(TooLongError, match="too long to be written"):
        derive(f, "x")
    raw = next(visit.adjoint for visit in backward(f, ["x"]) if visit.node.op == "name")
    assert raw.length > 10**9
    assert len(list(raw.nodes())) < 500


def test_exponents_in_exponents_take_no_longer_than_others() -> None:
    """Four times as long for each bracket, if every exponent is simplified anew for the one around it."""
    start = time.process_time()
    derive(read("a**(1+" * 7 + "a" + ")" * 7, "a: positive"), "a", checked=False)
    assert time.process_time() - start < 20


@given(st.integers(0, 2**30))
@settings(max_examples=20, deadline=None)
def test_what_is_interned_is_the_same_and_one_object(seed: int) -> None:
    words = ["x", "sin(x)", "x * y", "exp(x - y)", "x + y * y"]
    a, b = (read("*".join(words[k] for k in np.random.default_rng(seed).integers(0, 5, 4)), "x: real(n)", "y: real(n)") for _ in range(2))
    assert a is not b
    assert interned(a) == a
    assert interned(a) is interned(b)
    assert a.length == 1 + sum(arg.length for arg in a.args)


@pytest.mark.parametrize("case", {(c["f"], c["wrt"]): c for c in CLAIMS}.values(), ids=lambda c: f"{c['f']} wrt {c['wrt']}")
def test_claims_derive(case: dict[str, Any]) -> None:
    variables = from_sample(case["vars"])
    expr = parse_pair(case["f"], case["claim"], variables, case["wrt"], spelling="numpy", dimensions=case["dims"][0]).f.expr
    checked(derive(expr, case["wrt"], {v.name for v in variables.values() if v.domain in {"symmetric", "spd"}}))


def test_log_det_and_squared_norm_make_no_detour() -> None:
    found = derive(read("log(det(K)) + norm(r)**2", "K: real(n, n)", "r: real(n)"), "K")
    assert text(found.prepared) == "log det(K) + sum(r.^2)"
    assert [step.visit.node.op for step in found.steps] == ["add", "logdet", "name"]
    assert [step.rule for step in found.steps] == ["add_gate", "logdet", None]


def test_a_symmetric_variable_has_a_symmetric_gradient() -> None:
    f = read("trace(A @ X)", "A: real(n, n)", "X: symmetric(n)")
    assert text(derive(f, "X", {"X"}).gradient) == "½(A + Aᵀ)"
    assert text(derive(f, "X").gradient) == "Aᵀ"
    assert is_derivative(f, "X", derive(f, "X", {"X"}).gradient, frozenset({"X"})) is True


# --- paths ---------------------------------------------------------------------------------------------------------------------


def test_each_place_of_a_variable_is_a_path() -> None:
    f = read("logdet(alpha * A @ A.T + eye(n))", "alpha: real", "A: real(n, m)")
    first, second = paths(f, "A")
    assert [first.description, second.description] == ["the path through A", "the path through Aᵀ"]
    assert agree(first.adjoint, second.adjoint)
    assert text(simplified(first.adjoint)) == "α(α A Aᵀ + I)⁻¹A"
    labels = [path.label for path in paths(read("trace(X @ X.T @ X)", "X: real(n, n)"), "X")]
    assert labels == ["the 1st X", "Xᵀ", "the 2nd X"]


def test_a_path_knows_its_place_in_the_text() -> None:
    source = "trace(A @ X.T @ B @ X)"
    _, places = marked(read(source, "A: real(n, n)", "B: real(n, n)", "X: real(n, n)"), "X")
    spans = [span for _, span, _ in places if span is not None]
    assert [source[start:end] for start, end in spans] in ([], ["X", "X"])


def test_interior_numbers_add_up() -> None:
    f = read("log(det(A @ inv(P) @ A.T)) + norm(A @ x)**2", "A: real(m, n)", "P: real(n, n)", "x: real(n)")
    rng = np.random.default_rng(0)
    values = {"A": rng.normal(size=(2, 3)), "P": np.eye(3) + 0.1 * rng.normal(size=(3, 3)), "x": rng.normal(size=3)}
    inside = interior(f, "A", Point(values, {"m": 2, "n": 3}, np.zeros(())))
    assert np.allclose(sum(value for _, value in inside.paths), inside.gradient)
    assert len(inside.paths) == 3
    assert inside.nodes[0][0] == inside.f
    assert inside.nodes[0][2] == 1
    assert inside.nodes[-1][0].data == "A"
    expected = evaluate(derive(f, "A").gradient, Point(values, {"m": 2, "n": 3}, np.zeros(())))
    assert np.allclose(inside.gradient, expected)


def test_interior_is_exact_in_a_field() -> None:
    f = read("trace(A @ A @ inv(B))", "A: real(n, n)", "B: real(n, n)")
    point = random_point([f], np.random.default_rng(3), Field, frozenset(), positive=False)
    inside = interior(f, "A", point)
    assert same(inside.gradient, evaluate(derive(f, "A").gradient, point))
    assert same(inside.paths[0][1] + inside.paths[1][1], inside.gradient)


def test_too_many_places_end_in_a_sentence() -> None:
    f = read("x", "x: real")
    for _ in range(10):
        f = make("scale", f, f)
    with pytest.raises(FormulaError, match="x is written more than 128 times"):
        paths(f, "x")


# --- Jacobians, second derivatives, differentials -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        ("A @ x", "A"),
        ("x.T @ A", "Aᵀ"),
        ("x / norm(x)", "I / ‖x‖ - x xᵀ / ‖x‖³"),
        ("diag(x) @ A @ x", "diag(A x) + diag(x)A"),
        ("outer(x, x) @ A @ x", "x xᵀ(A + Aᵀ) + xᵀA x I"),
        ("tanh(A @ x)", "diag(1 - tanh(A x).^2)A"),
        ("cumsum(x)", "triu(𝟏_n 𝟏_nᵀ)ᵀ"),
        ("y", "zeros(n, n)"),
    ],
)
def test_jacobians(f: str, expected: str) -> None:
    expr = read(f + " + 0 * x" if f == "y" else f, "A: real(n, n)", "x: real(n)", "y: real(n)")
    found = jacobian(expr, "x")
    assert text(found) == expected
    assert is_derivative(expr, "x", found) is True


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        ("x.T @ A @ x", "A + Aᵀ"),
        ("norm(x)", "I / ‖x‖ - x xᵀ / ‖x‖³"),
        ("sum(x**4)", "12diag(x.^2)"),
        ("log(sum(exp(x)))", None),
        ("y.T @ x", "zeros(n, n)"),
    ],
)
def test_hessians(f: str, expected: str | None) -> None:
    expr = read(f, "A: real(n, n)", "x: real(n)", "y: real(n)")
    found = hessian(expr, "x")
    if expected is not None:
        assert text(found) == expected
    gradient = derive(expr, "x").gradient
    assert is_derivative(gradient, "x", found) is True if "x" in gradient.names else found.op == "zeros"
    assert agree(found, flipped(found))


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        ("inv(A)", "-A⁻¹dA A⁻¹"),
        ("A @ B", "dA B + A dB"),
        ("det(A)", "det(A)tr(A⁻¹dA)"),
        ("logdet(A)", "tr(A⁻¹dA)"),
        ("A .* B", "B ⊙ dA + A ⊙ dB"),
        ("A.T", "dAᵀ"),
    ],
)
def test_differentials(f: str, expected: str) -> None:
    expr = read(f, "A: real(n, n)", "B: real(n, n)")
    assert text(differential(expr, [word for word in ("A", "B") if word in expr.names])) == expected


def test_what_has_no_matrix_for_a_derivative_says_so() -> None:
    f = read("A @ A", "A: real(n, n)")
    with pytest.raises(FormulaError, match="n by n function by a n by n variable is no matrix"):
        derive(f, "A")
    with pytest.raises(FormulaError, match="B does not occur in the function, which has A"):
        derive(f, "B")
    with pytest.raises(FormulaError, match="Hessian is of a scalar"):
        hessian(f, "A")


# --- simplification ------------------------------------------------------------------------------------------------------------

N, M = Size.of("n"), Size.of("m")
SHAPES = [(ONE, ONE), (N, ONE), (M, ONE), (N, N), (N, M), (M, N), (ONE, N)]
LEAVES: dict[tuple[Size, Size], list[Expr]] = {
    (ONE, ONE): [name("a"), name("b"), number(2), number(-1), number(0), number(1), Expr("size", data=N)],
    **{shape: [name(word, *shape) for word in words] for shape, words in zip(SHAPES[1:], ("xy", "u", "ASK", "B", "C", "r"), strict=True)},
}


@st.composite
def expressions(draw: st.DrawFn, shape: tuple[Size, Size] | None = None, depth: int = 4) -> Expr:
    """Expressions of all shapes, singular ones included."""
    rows, cols = shape = shape or draw(st.sampled_from(SHAPES))
    leaves = LEAVES[shape] + ([filled("ones", *shape), filled("zeros", *shape)] if shape != (ONE, ONE) else [])
    if depth == 0:
        return draw(st.sampled_from([*leaves, filled("eye", *shape)] if shape == (N, N) else leaves))

    def part(*of: Size) -> Expr:
        return draw(expressions((of[0], of[1]), depth - 1))

    def product() -> Expr:
        inside = [k for k in (ONE, N, M) if (rows, k) in SHAPES and (k, cols) in SHAPES and (rows, k) != (ONE, ONE) != (k, cols)]
        k = draw(st.sampled_from(inside)) if inside else None
        return make("matmul", part(rows, k), part(k, cols)) if k is not None else draw(st.sampled_from(leaves))

    choices: list[Callable[[], Expr]] = [
        lambda: make("add", part(*shape), part(*shape)),
        lambda: make("sub", part(*shape), part(*shape)),
        lambda: minus(part(*shape)),
        lambda: make("scale", part(ONE, ONE), part(*shape)),
        lambda: make("divide", part(*shape), part(ONE, ONE)),
        lambda: make("power", part(*shape), number(draw(st.sampled_from([2, 3, -1, 1, 0])))),
        lambda: make(draw(st.sampled_from(["exp", "sign", "abs", "sigmoid", "tanh"])), part(*shape)),
        product,
    ]
    if shape != (ONE, ONE):
        choices += [lambda: make(draw(st.sampled_from(["hadamard", "quotient"])), part(*shape), part(*shape))]
        choices += [lambda: make("transpose", part(cols, rows))] if (cols, rows) in SHAPES else []
    else:
        choices += [
            lambda: make("sum", part(*draw(st.sampled_from(SHAPES[1:])))),
            lambda: make(draw(st.sampled_from(["trace", "det"])), part(N, N)),
            lambda: make("power", make("norm", part(N, ONE)), number(draw(st.sampled_from([1, 2, 4])))),
        ]
    if shape == (N, N):
        choices += [
            lambda: make("inv", part(N, N)),
            lambda: make("diag", part(N, ONE)),
            lambda: make("matpow", part(N, N), data=draw(st.sampled_from([2, 3, -1, 0]))),
        ]
    if shape == (N, ONE):
        choices += [lambda: make("diagonal", part(N, N))]
    return draw(st.sampled_from(choices))()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(expressions())
def test_simplification_changes_no_value_and_makes_nothing_longer(expr: Expr) -> None:
    symmetric = frozenset({"S"})
    short = simplified(expr, symmetric)
    assert short.shape == expr.shape
    assert cost(short) <= cost(expr)
    assert agree(expr, short, symmetric) is not False


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("B @ X + B.T @ X", "(B + Bᵀ)X"),
        ("X + X", "2X"),
        ("inv(inv(X)) @ X.T.T", "X X"),
        ("K @ inv(K) @ X", "X"),
        ("inv(K @ X) @ K @ X", "I"),
        ("(B @ X).T @ inv(X.T)", "(X⁻¹B X)ᵀ"),
        ("outer(x, x) @ y", "xᵀy x"),
        ("diag(x) @ y", "x ⊙ y"),
        ("diag(x) @ B @ diag(y) @ x", "x ⊙ B(y ⊙ x)"),
        ("ones(n).T @ x", "sum(x)"),
        ("trace(outer(x, y) @ B)", "yᵀB x"),
        ("(S + S.T) @ x", "2S x"),
        ("inv(2 * S).T", "½S⁻¹"),
        ("(x.T @ B @ y) - (y.T @ B.T @ x)", "0"),
        ("B @ x - B @ y", "B(x - y)"),
        ("x * exp(x) / exp(x)", "x"),
        ("exp(x) / (1 + exp(x))", "σ(x)"),
        ("1 / (1 + exp(-x))", "σ(x)"),
        ("sign(x) * abs(x)", "x"),
        ("0 * B + 1 * X", "X"),
        ("norm(x)**2 / norm(x)", "‖x‖"),
        ("(B + eye(n)) @ X - X", "B X"),
    ],
)
def test_simplified_forms(before: str, after: str) -> None:
    expr = read(before, "B: real(n, n)", "X: real(n, n)", "K: real(n, n)", "S: symmetric(n)", "x: real(n)", "y: real(n)")
    short = simplified(expr, frozenset({"S"}))
    assert text(short) == after
    assert agree(expr, short, frozenset({"S"})) is True


def test_a_wrong_equality_is_refuted() -> None:
    B, X = name("B", "n", "n"), name("X", "n", "n")
    assert agree(make("matmul", B, X), make("matmul", X, B)) is False
    assert agree(make("exp", B), make("expm", B)) is False
    assert agree(flipped(B), B) is False
    assert agree(flipped(B), B, frozenset({"B"})) is True
    assert agree(B, name("x", "n")) is False


# --- the graph -----------------------------------------------------------------------------------------------------------------


def test_a_graph_with_a_node_used_twice_has_the_numbers_of_the_lecture() -> None:
    f = read("x1**2 + x3 * (x2 * x3 - x1**2)", "x1: real", "x2: real", "x3: real")
    drawn = graph(f, {"x1": 1, "x2": 2, "x3": 3})
    by_formula = {node.whole: node for node in drawn.nodes}
    square = by_formula["x_1^2"]
    assert square.value == ((1.0,),)
    assert square.adjoint == ((-2.0,),)
    assert by_formula["x_1"].adjoint == ((-4.0,),)
    assert [edge.contribution for edge in drawn.uses(square.id)] == [((-3.0,),), ((1.0,),)]  # partial: they add up to the total
    assert all(step.agrees for step in drawn.steps)
    assert [step.node for step in drawn.steps] == sorted((node.id for node in drawn.nodes), reverse=True)


def test_a_graph_of_matrices_says_why_each_step_is_right() -> None:
    f = read("log(det(A @ inv(P) @ A.T))", "A: real(m, n)", "P: spd(n)")
    values = {"A": [[1, 0, 2], [0, 1, 1]], "P": np.diag([1, 2, 4])}
    drawn = graph(f, values, ["A"], {"P"})
    product = next(node for node in drawn.nodes if node.whole == r"A P^{-1} A^\top")
    assert [edge.operand for edge in drawn.operands(product.id)] == [1, 2]
    step = next(step for step in drawn.steps if step.node == product.id)
    assert step.rule == "matmul"
    assert r"dz_4 = dz_2 z_3 + z_2 dz_3" in step.because
    assert r"\bar z_2 \mathrel{+}= \bar z_4 z_3^\top" in step.formula
    last = drawn.nodes[0]
    assert last.name == "A"
    assert last.adjoint_formula == r"2 (A P^{-1} A^\top)^{-1} A P^{-1}"
    assert drawn.nodes[1].adjoint is None  # P was not asked for
    assert {step.agrees for step in drawn.steps} == {True}


def test_a_graph_of_what_balls_cannot_do_uses_finite_differences() -> None:
    drawn = graph(read("trace(B @ expm(X))", "X: real(n, n)", "B: real(n, n)"), {"X": [[0.1, 0.4], [0.0, -0.3]], "B": [[1, 2], [3, 4]]})
    assert all(step.error is not None and step.agrees for step in drawn.steps)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"A": [[1.0]]}, "x has no value"),
        ({"A": [[1.0, 2.0]], "x": [1.0, 2.0, 3.0]}, r"x has a value of shape \(3, 1\), but it is n by 1 with"),
        ({"A": [1.0, [2.0]], "x": [1.0]}, None),
    ],
)
def test_values_that_do_not_fit_are_refused(values: dict[str, Any], message: str | None) -> None:
    f = read("sum(A @ x)", "A: real(m, n)", "x: real(n)")
    with pytest.raises((FormulaError, ValueError), match=message):
        graph(f, values)


def test_a_graph_has_a_letter_for_its_parts_whatever_its_inputs_are_called() -> None:
    words = ["z", "v", "q", "vv", "node"]
    found = graph(read(" * ".join(words), *(f"{word}: real" for word in words)), dict.fromkeys(words, 2.0))
    assert [node.name for node in found.nodes][-1] == r"\mathrm{vvv}_4"


def test_a_graph_in_which_something_overflows_is_drawn_all_the_same() -> None:
    found = graph(read("sum(exp(exp(x)))", "x: real(n)"), {"x": [1.0, 1e3]})
    assert found.output.value == ((np.inf,),)


def test_exact_arrays_of_balls_need_no_framework() -> None:
    f = read("sum(sigmoid(W @ x))", "W: real(m, n)", "x: real(n)")
    point = random_point([f], np.random.default_rng(0), Ball, frozenset(), positive=False)
    with working_precision():
        inside = interior(f, "W", point)
        assert same(inside.gradient, evaluate(derive(f, "W").gradient, point))
