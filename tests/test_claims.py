"""Claims: right ones are proved, wrong ones refuted and explained, and nothing that stands in a file stops the others."""

from __future__ import annotations

import gc
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matcalc.claims import ClaimVerdict, Question, Reason, Variable, atoms, check_claim, check_entry, check_file, judge, layers, points
from matcalc.claims.bench import bench
from matcalc.claims.counterexample import smallest
from matcalc.claims.deciding import decide
from matcalc.claims.edits import otherwise_multiplied, refunctioned, renumbered, reordered, resigned, toggled
from matcalc.claims.layers import by_jax, in_floats, in_the_balls, in_the_field
from matcalc.claims.points import DOMAINS, at_random, random_inputs
from matcalc.claims.search import COSTS
from matcalc.claims.terms import aligned, terms
from matcalc.derivation import clock
from matcalc.exact import PRIME
from matcalc.formula import FormulaError, parse, variable
from matcalc.formula.operations import make, name, number
from matcalc.formula.size import Size

DATA = Path(__file__).parent / "data"
SAMPLE: list[dict[str, Any]] = json.loads((DATA / "claims-sample.json").read_text())
OWN: list[dict[str, Any]] = json.loads((DATA / "claims.json").read_text())
GIVEN = {"id", "f", "vars", "wrt", "claim", "dims"}


def judged(case: dict[str, Any]) -> ClaimVerdict:
    """The verdict on a case of a benchmark, by what a grader is given of it."""
    return check_entry({key: value for key, value in case.items() if key in GIVEN})


def scored(cases: list[dict[str, Any]]) -> tuple[list[str], float, float]:
    """The cases with a wrong verdict; how often the label is among the explanations of wrong claims; how often it is first."""
    wrong, among, first, count = [], 0, 0, 0
    for case in cases:
        verdict = judged(case)
        if verdict.verdict not in ({"proved", "verified"} if case["correct"] else {"refuted"}):
            wrong.append(f"{case['id']} {verdict.verdict}: {case['f']} | {case['claim']}")
        if not case["correct"]:
            good = {case["error_class"], *case["also"]}
            kinds = [reason.kind for reason in verdict.explanations]
            among += bool(good & set(kinds))
            first += bool(kinds) and kinds[0] in good
            count += 1
    return wrong, among / count, first / count


def variables(*declared: str) -> tuple[Variable, ...]:
    return tuple(Variable.of(variable(text)) for text in declared)


def question(f: str, wrt: str, claim: str, *declared: str, kind: str = "gradient") -> Question:
    known = variables(*declared)
    read = [parse(text, known).expr for text in (f, claim)]
    return Question(read[0], next(v for v in known if v.name == wrt), read[1], known, kind)


# --- benchmarks ---------------------------------------------------------------------------------------------------------------


def test_the_sample_is_judged_and_explained() -> None:
    wrong, among, first = scored(SAMPLE)
    assert not wrong
    assert among == 1
    assert first >= 0.95


def test_some_of_our_own_claims() -> None:
    wrong, among, first = scored(OWN[::20])
    assert not wrong
    assert among >= 0.97
    assert first >= 0.9


@pytest.mark.slow
def test_our_own_claims() -> None:
    wrong, among, first = scored(OWN)
    assert not wrong
    assert among >= 0.99
    assert first >= 0.97


def test_our_own_claims_have_every_class() -> None:
    labels = {case["error_class"] for case in OWN + SAMPLE if not case["correct"]}
    assert labels == set(COSTS)


# --- one example of each class ---------------------------------------------------------------------------------------------------

CLASSES = [
    ("shape", "x.T @ A @ x", "x", "(A + A.T) @ A", ["x: real(n)", "A: real(n, n)"]),
    ("shape", "norm(A @ x)**2", "x", "2 * A @ A @ x", ["x: real(n)", "A: real(m, n)"]),
    ("sign", "a.T @ x", "x", "-a", ["x: real(n)", "a: real(n)"]),
    ("scalar_factor", "x.T @ x", "x", "x", ["x: real(n)"]),
    ("dimension_factor", "sum(x * x) / n", "x", "2 * x", ["x: real(n)"]),
    ("outer_chain", "log(x.T @ x)", "x", "2 * x", ["x: real(n)"]),
    ("layout", "A @ x", "x", "A.T", ["x: real(n)", "A: real(n, n)"]),
    ("transpose", "trace(A @ X)", "X", "A", ["A: real(n, n)", "X: real(n, n)"]),
    ("missing_term", "x.T @ A @ x", "x", "A @ x", ["x: real(n)", "A: real(n, n)"]),
    ("term_sign", "a.T @ x - x.T @ x", "x", "a + 2 * x", ["x: real(n)", "a: real(n)"]),
    ("term_factor", "a.T @ x + x.T @ x", "x", "a + 3 * x", ["x: real(n)", "a: real(n)"]),
    ("symmetric_assumption", "x.T @ A @ x", "x", "2 * A @ x", ["x: real(n)", "A: real(n, n)"]),
    ("symmetric_treatment", "log(det(X))", "X", "2 * inv(X) - diag(diag(inv(X)))", ["X: spd(n)"]),
    ("symmetric_treatment", "trace(A @ X)", "X", "A.T", ["A: real(n, n)", "X: symmetric(n)"]),
    ("product_order", "trace(A @ X @ B)", "X", "B.T @ A.T", ["A: real(n, n)", "B: real(n, n)", "X: real(n, n)"]),
    ("inner_transpose", "trace(A @ X @ B)", "X", "A @ B.T", ["A: real(n, n)", "B: real(n, n)", "X: real(n, n)"]),
    ("chain_missing", "norm(A @ x - y)**2", "x", "2 * (A @ x - y)", ["A: real(n, n)", "x: real(n)", "y: real(n)"]),
    ("inverse_rule", "trace(A @ inv(X))", "X", "-inv(X).T @ A.T", ["A: real(n, n)", "X: invertible(n)"]),
    ("elementwise_derivative", "sum(tanh(x))", "x", "1 - tanh(x)", ["x: real(n)"]),
    ("elementwise_vs_matrix", "sum(X @ X)", "X", "2 * X", ["X: real(n, n)"]),
    ("wrong_variable", "x.T @ A @ y", "x", "A.T @ x", ["A: real(n, n)", "x: real(n)", "y: real(n)"]),
    ("wrong_operand", "trace(A @ X) + trace(B)", "X", "B.T", ["A: real(n, n)", "B: real(n, n)", "X: real(n, n)"]),
    ("domain", "sum(abs(x))", "x", "ones(n)", ["x: real(n)"]),
    ("domain", "norm(x)", "x", "x", ["x: real(n)"]),
]


@pytest.mark.parametrize(("kind", "f", "wrt", "claim", "declared"), CLASSES)
def test_a_wrong_claim_of_each_class(kind: str, f: str, wrt: str, claim: str, declared: list[str]) -> None:
    verdict = check_claim(f, wrt, claim, declared)
    assert verdict.verdict == "refuted"
    assert kind in {reason.kind for reason in verdict.explanations}
    assert all(reason.kind in COSTS for reason in verdict.explanations)


def test_sentences_name_what_is_wrong_in_the_users_spelling() -> None:
    half = check_claim("x' A x", "x", "A x", ["x: real(n)", "A: real(n, n)"])
    assert half.explanations[0].message == "the path through x is missing"
    chain = check_claim("norm2(A*x-y)^2", "x", "2*(A*x-y)", ["A: real(m, n)", "x: real(n)", "y: real(m)"])
    assert any("with respect to A*x - y: the steps from there to x are missing" in reason.message for reason in chain.explanations)
    turned = check_claim("tr(A*inv(P)*X)", "X", "A'*inv(P)'", ["A: real(n, n)", "P: invertible(n)", "X: real(n, n)"])
    assert any(reason.repair == "inv(P)'*A'" for reason in turned.explanations if reason.kind == "product_order")
    half_right = check_claim("sum(abs(A @ x))", "x", "A.T @ ones(m)", ["A: real(m, n)", "x: real(n)"])
    assert any(reason.message == "right only where A @ x > 0" for reason in half_right.explanations)


def test_the_dimension_is_named() -> None:
    verdict = check_claim("norm(X @ w - y)**2 / m", "w", "2 * X.T @ (X @ w - y) / n", ["X: real(m, n)", "w: real(n)", "y: real(m)"])
    assert verdict.explanations[0].about == "m/n"


def test_a_wrong_shape_is_told_together_with_what_was_meant() -> None:
    verdict = check_claim("trace(A @ X)", "X", "A", ["A: real(n, m)", "X: real(m, n)"])
    assert [reason.kind for reason in verdict.explanations[:2]] == ["shape", "transpose"]
    assert "n×m" in verdict.explanations[0].message
    assert "must be m×n" in verdict.explanations[0].message
    degenerate = check_claim(  # where all dimensions are equal, the function is constant
        "y.T @ X @ inv(X.T @ X) @ X.T @ y",
        "X",
        "2 * outer(inv(X.T @ X) @ X.T @ y, y - X @ inv(X.T @ X) @ X.T @ y)",
        ["X: real(m, n)", "y: real(m)"],
        dims=[{"m": 4, "n": 2}, {"m": 5, "n": 3}, {"m": 3, "n": 2}],
    )
    assert "transpose" in {reason.kind for reason in degenerate.explanations}


def test_a_clash_of_dimensions_is_wrong_even_where_the_numbers_agree() -> None:
    verdict = check_claim("norm(A @ x)**2", "x", "2 * A @ A.T @ x", ["A: real(m, n)", "x: real(n)"], dims=[{"m": 3, "n": 3}])
    assert verdict.verdict == "refuted"
    assert verdict.explanations[0].kind == "shape"


# --- the layers -------------------------------------------------------------------------------------------------------------------


def test_rational_claims_are_proved_without_balls_and_floats() -> None:
    verdict = check_claim("trace(inv(X) @ A)", "X", "-(inv(X) @ A @ inv(X)).T", ["X: invertible(n)", "A: real(n, n)"])
    assert verdict.verdict == "proved"
    assert [layer.name for layer in verdict.layers] == ["prime field"]
    assert 0 < verdict.bound < 1e-15


@pytest.mark.parametrize(
    ("f", "claim"),
    [
        ("sum(sigmoid(x))", "sigmoid(x) * (1 - sigmoid(x))"),
        ("sum(sigmoid(x))", "exp(-x) / (1 + exp(-x))**2"),
        ("sum(softplus(x))", "1 - 1 / (1 + exp(x))"),
        ("sum(tanh(x))", "1 / cosh(x)**2"),
        ("sum(sin(x) * cos(x))", "1 - 2 * sin(x)**2"),
        ("logsumexp(x)", "softmax(x)"),
        ("sum(log(x))", "1 / x"),
    ],
)
def test_unknown_functions_prove_what_follows_from_their_rules(f: str, claim: str) -> None:
    layer = in_the_field(question(f, "x", claim, "x: positive(n)"))
    assert layer.says == "equal"


def test_a_difference_of_unknown_functions_refutes_nothing() -> None:
    logs = question("sum(log(x))", "x", "exp(log(1 / x))", "x: positive(n)")
    assert in_the_field(logs).says == "nothing"
    assert in_the_balls(logs).says == "equal"
    assert decide(logs).verdict == "verified"
    assert decide(question("sum(exp(x))", "x", "exp(x) + exp(2 * x)", "x: real(n)")).verdict == "refuted"


def test_signs_of_roots_are_not_believed() -> None:
    claim = question("sum(sqrt(x * x) * x)", "x", "2 * x", "x: real(n)")
    assert decide(claim).verdict == "refuted"
    one = question("sqrt(a * a) * a", "a", "2 * a", "a: real")
    assert decide(one).verdict == "refuted"
    assert decide(question("sqrt(a * a) * a", "a", "2 * a", "a: positive")).verdict in {"proved", "verified"}


def test_matrix_exponentials_are_known_to_thirty_digits() -> None:
    right = question("trace(expm(A @ X))", "X", "A.T @ expm(A @ X).T", "A: small(n, n)", "X: small(n, n)")
    assert decide(right).verdict == "verified"
    assert decide(right).layers[-1].name == "balls"
    wrong = question("trace(expm(A @ X))", "X", "A.T @ expm(X @ A).T", "A: small(n, n)", "X: small(n, n)")
    assert decide(wrong).verdict == "refuted"


def test_floats_decide_what_has_no_exact_form() -> None:
    wrong = check_claim("nuclear(X)", "X", "X", ["X: real(m, n)"])
    assert wrong.verdict == "refuted"
    assert wrong.layers[-1].name == "finite differences"
    right = question("nuclear(2 * X) - 2 * nuclear(X) + trace(A @ X)", "X", "A.T", "X: real(m, n)", "A: real(n, m)")
    assert decide(right).verdict == "verified"


@pytest.mark.slow
def test_jax_is_the_last_resort() -> None:
    assert by_jax(question("sum(exp(x))", "x", "exp(x)", "x: real(n)")).says == "equal"
    assert by_jax(question("sum(exp(x))", "x", "x", "x: real(n)")).says == "different"


def test_domains_are_respected() -> None:
    assert decide(question("sum(abs(x))", "x", "ones(n)", "x: positive(n)")).verdict == "verified"
    assert decide(question("sum(abs(x))", "x", "ones(n)", "x: real(n)")).verdict == "refuted"
    assert decide(question("sum((x * y)**2)", "x", "2 * x", "x: real(n)", "y: labels(n)")).verdict == "proved"
    assert decide(question("sum((x * y)**2)", "x", "2 * x", "x: real(n)", "y: real(n)")).verdict == "refuted"
    assert decide(question("log(det(X))", "X", "inv(X)", "X: spd(n)")).verdict == "proved"
    assert decide(question("log(det(X))", "X", "inv(X)", "X: posquad(n)")).verdict == "refuted"


def test_a_function_that_is_nowhere_defined_at_random_is_looked_at_where_entries_are_positive() -> None:
    verdict = check_claim("sum(sqrt(x) * log(x - sqrt(x * x) / 2))", "x", "x", ["x: real(8)"])
    assert verdict.verdict == "refuted"
    undefined = check_claim("sum(X @ X)", "X", "inv(ones(n, n))", ["X: real(n, n)"], dims=[{"n": 3}])
    assert undefined.verdict == "refuted"
    nothing = check_claim("log(-sum(x * x))", "x", "x", ["x: real(n)"])
    assert nothing.verdict == "inconclusive"
    assert "no point was found" in nothing.reason


def test_points_are_in_their_sets() -> None:
    rng = np.random.default_rng(0)
    for domain in DOMAINS:
        matrix = Variable("X", Size.of("n"), Size.of("n"), domain)
        scalar = Variable("a", domain=domain)
        for _ in range(20):
            X, a = at_random([matrix, scalar], {"n": 3}, rng).values()
            assert X.shape == (3, 3)
            assert a.shape == ()
            assert np.all(np.round(X * 2**16) == X * 2**16), "every arithmetic must hold it exactly"
            match domain:
                case "positive" | "unit":
                    assert np.all(X > 0)
                case "symmetric" | "spd":
                    assert np.all(X == X.T)
                case "posdet":
                    assert np.linalg.det(X) > 0
                case "posquad":
                    assert np.all(np.linalg.eigvalsh(X + X.T) > 0)
                case "labels":
                    assert np.all(np.abs(X) == 1)
                case _:
                    assert np.all(X != 0)


# --- kinds of derivative -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "wrt", "claim", "kind", "declared", "right"),
    [
        ("x.T @ A @ x", "x", "A + A.T", "hessian", ["x: real(n)", "A: real(n, n)"], True),
        ("x.T @ A @ x", "x", "2 * A", "hessian", ["x: real(n)", "A: real(n, n)"], False),
        ("x.T @ A @ x", "x", "A + A.T", "auto", ["x: real(n)", "A: real(n, n)"], False),
        ("log(det(X))", "X", "trace(inv(X) @ dX)", "auto", ["X: invertible(n)"], True),
        ("log(det(X))", "X", "trace(inv(X).T @ dX)", "auto", ["X: invertible(n)"], False),
        ("inv(X)", "X", "-inv(X) @ dX @ inv(X)", "auto", ["X: invertible(n)"], True),
        ("inv(X)", "X", "-inv(X) @ inv(X) @ dX", "auto", ["X: invertible(n)"], False),
        ("A @ X @ B", "X", "kron(B.T, A)", "jacobian", ["A: real(m, n)", "X: real(n, p)", "B: real(p, q)"], True),
        ("a * X", "a", "X", "auto", ["a: real", "X: real(m, n)"], True),
        ("a * X", "a", "X.T", "auto", ["a: real", "X: real(n, n)"], False),
        ("a.T @ x", "x", "a.T", "jacobian", ["a: real(n, 1)", "x: real(n, 1)"], True),
    ],
)
def test_kinds(f: str, wrt: str, claim: str, kind: str, declared: list[str], *, right: bool) -> None:
    verdict = check_claim(f, wrt, claim, declared, kind=kind)
    assert verdict.verdict == ("proved" if right else "refuted")


def test_a_row_of_a_flat_variable_is_its_column_and_of_a_column_it_is_another_shape() -> None:
    assert check_claim("x @ A @ x", "x", "x @ A + A @ x", {"x": "real(n)", "A": "real(n, n)"}).verdict == "proved"
    column = check_claim("trace(x.T @ A @ x)", "x", "x.T @ A + x.T @ A.T", {"x": "real(n, 1)", "A": "real(n, n)"})
    assert column.verdict == "refuted"
    assert {"shape", "layout"} <= {reason.kind for reason in column.explanations}


def test_without_a_claim_it_derives_and_verifies() -> None:
    verdict = check_claim("log(det(A @ X))", "X", None, ["A: posdet(n, n)", "X: posdet(n, n)"])
    assert verdict.verdict == "proved"
    assert verdict.derivative_text
    assert str(verdict).startswith("proved: ")


@pytest.mark.parametrize(
    ("f", "claim"), [("‖A x − y‖²", "2 Aᵀ (A x − y)"), (r"\|A x - y\|_2^2", r"2 A^\top (A x - y)"), ("norm2(A*x-y)^2", "2*A'*(A*x-y)")]
)
def test_other_spellings(f: str, claim: str) -> None:
    verdict = check_claim(f, "x", claim, ["A: real(m, n)", "x: real(n)", "y: real(m)"])
    assert verdict.verdict == "proved"
    assert verdict.reading["claim"]["numpy"].replace(" ", "") == "2*A.T@(A@x-y)"


# --- counterexamples ---------------------------------------------------------------------------------------------------------------


def test_the_smallest_counterexample_is_small_and_measured() -> None:
    found = smallest(question("x.T @ A @ x", "x", "2 * A @ x", "x: real(n)", "A: real(n, n)"))
    assert found is not None
    assert found.sizes == {"n": 2}
    entries = {x for value in found.inputs.values() for x in np.ravel(value).tolist()}
    assert entries <= {0.0, 1.0, -1.0, 2.0}
    assert found.difference == pytest.approx(found.expected, abs=1e-6)
    assert found.claimed != pytest.approx(found.expected, abs=1e-3)
    one = smallest(question("a.T @ x", "x", "-a", "x: real(n)", "a: real(n)"))
    assert one is not None
    assert one.sizes == {"n": 1}


def test_counterexamples_stay_in_their_sets() -> None:
    found = smallest(question("log(det(X))", "X", "2 * inv(X)", "X: spd(n)"))
    assert found is not None
    X = np.array(found.inputs["X"])
    assert np.all(X == X.T)
    assert np.all(np.linalg.eigvalsh(X) > 0)
    kink = smallest(question("sum(relu(W @ x))", "x", "-W.T @ relu(sign(W @ x))", "W: real(m, n)", "x: real(n)"))
    assert kink is not None
    assert kink.difference == pytest.approx(kink.expected, abs=1e-5)


# --- terms ---------------------------------------------------------------------------------------------------------------------------


def test_terms_are_aligned() -> None:
    A, x, y = name("A", "m", "n"), name("x", "n"), name("y", "m")
    claim = make("scale", number(2), make("matmul", make("transpose", A), make("matmul", A, x)))
    truth = make("scale", number(2), make("matmul", make("transpose", A), make("sub", make("matmul", A, x), y)))
    beside = aligned(claim, truth)
    assert [repr(t) for t in beside.common] == ["scale(2, matmul(matmul(transpose(A), A), x))"]
    assert [repr(t) for t in beside.missing] == ["neg(scale(2, matmul(transpose(A), y)))"]
    assert not beside.extra
    assert not beside.changed


@given(st.sampled_from([case["claim"] for case in OWN if case["correct"]]), st.integers(0, 2**30))
@settings(max_examples=30, deadline=None)
def test_the_terms_of_an_expression_add_up_to_it(text: str, seed: int) -> None:
    case = next(case for case in OWN if case["claim"] == text)
    verdict = judged(case)
    assert verdict.derivative is not None
    known = tuple(Variable.of(variable(f"{k}: {v['domain']}({', '.join(map(str, v['shape']))})")) for k, v in case["vars"].items())
    inputs = random_inputs(verdict.derivative, known, seed)
    sizes = {dim: size for v in known for dim, size in zip((str(v.rows), str(v.cols)), inputs[v.name].shape, strict=False)}
    point = points.Point(inputs, sizes, np.zeros(()))
    whole = points.evaluate(verdict.derivative, point)
    total = sum(points.evaluate(term, point) for term in terms(verdict.derivative))
    assert np.allclose(total, whole, rtol=1e-9, atol=1e-9 * (1 + np.max(np.abs(whole))))


# --- properties ------------------------------------------------------------------------------------------------------------------------


@given(st.fractions(min_value=-5, max_value=5, max_denominator=7).filter(lambda c: c not in {0, 1}))
@settings(max_examples=15, deadline=None)
def test_a_factor_is_found(c: Any) -> None:
    truth = question("norm(A @ x - y)**2", "x", "2 * A.T @ (A @ x - y)", "A: real(m, n)", "x: real(n)", "y: real(m)")
    verdict = judge(truth.with_claim(make("scale", number(c), truth.claim)))
    assert verdict.verdict == "refuted"
    assert verdict.explanations[0].kind == ("sign" if c == -1 else "scalar_factor")
    assert verdict.explanations[0].about == str(c)


@pytest.mark.slow
@given(st.sampled_from([case for case in OWN + SAMPLE if case["correct"]]), st.randoms())
@settings(max_examples=60, deadline=None)
def test_changed_claims_are_judged_as_finite_differences_judge_them(case: dict[str, Any], rng: Any) -> None:
    pair = judged(case)
    assert pair.derivative is not None
    known = tuple(Variable.of(variable(f"{k}: {v['domain']}({', '.join(map(str, v['shape']))})")) for k, v in case["vars"].items())
    dimensions = list(case["dims"][0])
    try:
        f = parse(case["f"], known, dimensions=dimensions).expr
    except FormulaError:  # A * X of squares: in a file it is NumPy's, as in check_entry
        f = parse(case["f"], known, dimensions=dimensions, spelling="numpy").expr
    wrt = next(v for v in known if v.name == case["wrt"])
    truth = Question(f, wrt, pair.derivative, known, pair.kind, tuple(case["dims"]))
    changes = [
        edit for kind in (toggled, reordered, resigned, renumbered, refunctioned, otherwise_multiplied) for edit in kind(truth.claim)
    ]
    for edit in rng.sample(changes, min(4, len(changes))):
        changed = truth.with_claim(edit.expr)
        if not changed.misfit:
            exact, floats = decide(changed), in_floats(changed, seed=9)
            assert (exact.verdict, floats.says) not in {("refuted", "equal"), ("proved", "different"), ("verified", "different")}


# --- wrong versions of the engine ---------------------------------------------------------------------------------------------------------

WRONG = ("log(det(X))", "X", "2 * inv(X)", "X: spd(n)")
RIGHT = ("log(det(X))", "X", "inv(X)", "X: spd(n)")


def test_tangents_out_of_the_tangent_space_would_refute_what_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    assert in_the_field(question(*RIGHT)).says == "equal"
    draw, rational, _ = DOMAINS["spd"]
    one_sided = (draw, lambda noise: noise, lambda noise: noise)
    monkeypatch.setitem(points.DOMAINS, "spd", one_sided)
    assert in_the_field(question(*RIGHT)).says != "equal"
    del rational


def test_a_point_that_does_not_move_would_prove_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    assert in_the_field(question("trace(X @ X)", "X", "X", "X: real(n, n)")).says == "different"
    draw, rational, _ = DOMAINS["real"]
    monkeypatch.setitem(points.DOMAINS, "real", (draw, rational, lambda noise: noise - noise))
    assert in_the_field(question("trace(X @ X)", "X", "X", "X: real(n, n)")).says == "equal"


def test_unknown_functions_that_are_all_the_same_would_prove_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = question("sum(exp(x))", "x", "exp(x * x)", "x: real(n)")
    assert in_the_field(wrong).says == "nothing"
    assert decide(wrong).verdict == "refuted"
    monkeypatch.setattr(atoms, "_hashed", lambda *_: 1)
    assert in_the_field(wrong).says == "equal"


def test_roots_without_balls_would_be_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    one = question("sqrt(a * a) * a", "a", "2 * a", "a: positive")
    assert in_the_field(one).note, "whoever asks the prime field alone must be told"
    monkeypatch.setattr(layers, "MORE_POINTS", 1)
    monkeypatch.setattr(layers, "SIZES", 1)
    assert decide(one).verdict in {"proved", "verified"}


def test_residues_of_unknown_functions_obey_their_rules() -> None:
    kind, used = atoms.arithmetic(7)
    rng = np.random.default_rng(0)
    x: Any = kind.base.random(rng, (3,))
    assert np.all((x.function("exp") * (-x).function("exp")).entries == 1)
    assert np.all((x.function("sin") * x.function("sin") + x.function("cos") * x.function("cos")).entries == 1)
    assert np.all(((-x).function("sin") + x.function("sin")).entries == 0)
    assert np.all(kind.base.constant(0).function("exp").entries == 1)
    assert np.all(kind.base.constant(1).function("log").entries == 0)
    assert used.transcendental
    assert 0 < used.collisions < 1
    other, _ = atoms.arithmetic(8)
    assert not np.any(other.base.constant(5).function("exp").entries == kind.base.constant(5).function("exp").entries)
    assert x.entries.max() < PRIME


def test_the_bench_knows_the_truth_that_differences_know() -> None:
    for case in SAMPLE[::4]:
        verdict = judged(case)
        if verdict.derivative is None:
            continue
        known = tuple(Variable.of(variable(f"{k}: {v['domain']}({', '.join(map(str, v['shape']))})")) for k, v in case["vars"].items())
        f = parse(case["f"], known).expr
        wrt = next(v for v in known if v.name == case["wrt"])
        asked = Question(f, wrt, verdict.derivative, known, verdict.kind, tuple(case["dims"]))
        for at in bench(asked).points:
            assert np.allclose(at.claimed, at.true, rtol=1e-8, atol=1e-8 * (1 + np.max(np.abs(at.true))))


# --- verdicts as values ------------------------------------------------------------------------------------------------------------------


def test_a_verdict_is_json_and_sentences_and_a_page() -> None:
    verdict = check_claim("a.T @ x", "x", "-a", ["a: real(n)", "x: real(n)"])
    found = json.loads(json.dumps(verdict.json()))
    assert {"id", "verdict", "explanations", "counterexample"} <= found.keys()
    assert found["explanations"][0]["class"] == "sign"
    assert "right is: a" in str(verdict)
    assert verdict.status.value == "refuted"
    hostile = ClaimVerdict("<script>", "x", "<b>", "gradient", "refuted")
    assert "<script>" not in hostile._repr_html_()


def test_the_same_question_has_the_same_answer() -> None:
    once, again = (check_claim("x.T @ A @ x", "x", "2 * A @ x", ["x: real(n)", "A: real(n, n)"]).json() for _ in range(2))
    assert {**once, "seconds": 0} == {**again, "seconds": 0}


def test_a_file_of_claims_goes_on_after_bad_entries(tmp_path: Path) -> None:
    entries: list[Any] = [
        SAMPLE[0],
        {"id": "no f"},
        "no object",
        {"id": "bad text", "f": "x +", "wrt": "x", "claim": "x", "vars": {"x": {"shape": ["n"]}}},
        {"id": "bad set", "f": "sum(x)", "wrt": "x", "claim": "x", "vars": {"x": {"shape": ["n"], "domain": "nowhere"}}},
        {"id": "no such variable", "f": "sum(x)", "wrt": "z", "claim": "x", "vars": {"x": {"shape": ["n"]}}},
        SAMPLE[1],
    ]
    path = tmp_path / "claims.json"
    path.write_text(json.dumps(entries))
    found: Iterator[dict[str, Any]] = check_file(path)
    answers = list(found)
    assert [answer["verdict"] for answer in answers] == ["proved", *["inconclusive"] * 5, "refuted"]
    assert [answer["id"] for answer in answers] == ["c160", "no f", "2", "bad text", "bad set", "no such variable", "c161"]
    assert all(("error" in answer) == (answer["verdict"] == "inconclusive") for answer in answers)
    assert "nowhere" in answers[4]["error"]


def test_a_file_that_is_no_list(tmp_path: Path) -> None:
    path = tmp_path / "claims.json"
    path.write_text("{}")
    with pytest.raises(ValueError, match="must hold a JSON list"):
        next(check_file(path))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sum(x", "x", "x", ["x: real(n)"]), "should follow"),
        (("sum(x)", "y", "x", ["x: real(n)"]), "y"),
        (("sum(x)", "x", "z", ["x: real(n)"]), "z is not declared"),
        (("sum(x)", "x", "x", ["x: somewhere(n)"]), "somewhere"),
        (("sum(x)", "x", "x", ["x real n"]), "a variable is declared as in"),
        (("trace(X)", "X", "X", {"X": {"shape": ["m", "n"], "domain": "spd"}}), "not square"),
        (("sum(x)", "x", "x" * 30_000, ["x: real(n)"]), "has 30000 characters, but at most 20000 are read"),
    ],
)
def test_bad_questions_are_told_in_a_sentence(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises((FormulaError, ValueError), match=message):
        check_claim(*arguments)


def test_a_kind_that_is_none() -> None:
    with pytest.raises(ValueError, match="kind is one of"):
        check_claim("sum(x)", "x", "x", ["x: real(n)"], kind="slope")
    with pytest.raises(ValueError, match="a gradient is of a scalar"):
        check_claim("2 * x", "x", "x", ["x: real(n)"], kind="gradient")


@pytest.mark.parametrize(
    ("dims", "message"),
    [
        ([{"n": 3}], "dims must tell m too"),
        ([{"m": 0, "n": 1}], "whole number from 1"),
        ({"n": 3}, "a list of sizes"),
        ("mn", "a list of sizes"),
    ],
)
def test_sizes_that_are_none(dims: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_claim("norm(A @ x)**2", "x", "2 * A.T @ A @ x", ["A: real(m, n)", "x: real(n)"], dims=dims)


ODD: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=4), x, max_size=3),
)


@given(st.dictionaries(st.sampled_from(["id", "f", "wrt", "claim", "vars", "dims", "kind"]), ODD))
@settings(max_examples=150, deadline=None)
def test_no_entry_of_a_file_stops_a_run(entry: dict[str, Any]) -> None:
    odd = {"f": "x.T @ A @ x", "wrt": "x", "claim": "A @ x", "vars": SAMPLE[7]["vars"], **entry}
    assert check_entry(odd).verdict in {"proved", "verified", "refuted", "inconclusive"}
    assert json.dumps(check_entry(odd).json())


def test_large_arrays_are_judged_by_what_can_be_afforded() -> None:
    verdict = check_claim("x.T @ A @ x", "x", "(A + A.T) @ x", {"x": {"shape": [60]}, "A": {"shape": [60, 60]}})
    assert verdict.right
    wrong = check_claim("log(det(A))", "A", "inv(A)", {"A": {"shape": [40, 40], "domain": "posquad"}})
    assert wrong.verdict == "refuted"


def test_rational_claims_import_no_framework() -> None:
    program = (
        "import sys; from matcalc.claims import check_claim\n"
        "right = check_claim('log(det(K))', 'K', 'inv(K)', ['K: spd(n)'])\n"
        "wrong = check_claim('x.T @ A @ x', 'x', '2 * A @ x', ['x: real(n)', 'A: real(n, n)'])\n"
        "print(right.verdict, wrong.verdict, sorted({'jax', 'torch', 'hypothesis'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "proved refuted []"


# --- how a star is read in a file -------------------------------------------------------------------------------------------------

SQUARES = {name: {"kind": "matrix", "shape": ["n", "n"], "domain": "real"} for name in "AX"}


def entry(f: str, claim: str, **more: Any) -> dict[str, Any]:
    return {"id": "e", "f": f, "wrt": "X", "claim": claim, "vars": SQUARES, **more}


@pytest.mark.parametrize(
    ("f", "claim", "verdict"),
    [
        ("trace(A * X)", "A * eye(n)", "proved"),
        ("trace(A * X)", "diag(diag(A))", "proved"),
        ("trace(A * X)", "A", "refuted"),
        ("trace(exp(X))", "exp(X) * eye(n)", "proved"),
        ("tr(A*X)", "A'", "proved"),  # a prime is MATLAB's, and there a star is the product of matrices
    ],
)
def test_a_file_is_numpy_unless_something_tells_otherwise(f: str, claim: str, verdict: str) -> None:
    assert check_entry(entry(f, claim)).verdict == verdict


def test_a_spelling_can_be_told_to_a_file_and_in_it(tmp_path: Path) -> None:
    assert check_entry(entry("trace(A * X)", "transpose(A)", spelling="matlab")).verdict == "proved"
    assert "fortran" in check_entry(entry("trace(A * X)", "A", spelling="fortran")).error
    path = tmp_path / "claims.json"
    path.write_text(json.dumps([entry("trace(A * X)", "transpose(A)"), entry("trace(A * X)", "A * eye(n)", spelling="numpy")]))
    assert [found["verdict"] for found in check_file(path, spelling="matlab")] == ["proved", "proved"]
    assert next(check_file(path))["verdict"] == "refuted"
    with pytest.raises(FormulaError, match="say which"):  # alone, it is asked for
        check_claim("trace(A * X)", "X", "A", ["A: real(n, n)", "X: real(n, n)"])


# --- time and memory --------------------------------------------------------------------------------------------------------------


def nested(start: str, depth: int, end: str, inside: str = "x") -> str:
    return start * depth + inside + end * depth


@pytest.mark.parametrize(
    ("f", "claim", "right"),
    [
        ("sum(" + nested("softmax(", 30, ")") + ")", "zeros(n)", True),
        ("sum(" + nested("softmax(", 30, ")") + ")", "x", False),
        pytest.param(nested("norm(x + ", 30, " * x)", "norm(x)"), "x", False, marks=pytest.mark.slow),
        pytest.param("sum(" + nested("tanh(", 90, ")") + ")", "x", False, marks=pytest.mark.slow),
        pytest.param(nested("(x.T @ x) / (1 + ", 40, ")", "norm(x)"), "x", False, marks=pytest.mark.slow),
        pytest.param("sum(" + nested("abs(x - ", 60, ")", "y") + ")", "x", False, marks=pytest.mark.slow),
    ],
)
def test_what_is_nested_is_judged_before_its_time_is_up(f: str, claim: str, *, right: bool) -> None:
    verdict = check_claim(f, "x", claim, ["x: real(n)", "y: real(n)"])
    assert verdict.right if right else verdict.wrong


def test_a_formula_too_long_to_be_written_is_told_in_a_sentence() -> None:
    with pytest.raises(FormulaError, match="the derivative is too long to be written"):
        check_claim("sum(" + nested("softmax(", 30, ")") + ")", "x", None, ["x: real(n)"])


def test_arrays_that_are_too_large_are_told_in_a_sentence() -> None:
    f = "norm(kron(kron(X, X), kron(X, kron(X, X))))"
    verdict = check_claim(f, "X", "X", ["X: real(n, n)"], dims=[{"n": 20}, {"n": 30}])
    assert (verdict.verdict, verdict.reason) == ("inconclusive", layers.TOO_LARGE)


def test_one_size_is_no_proof_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    told = ("sum(X) * n", "X", "3 * ones((n, n))", ["X: real(n, n)"])
    assert check_claim(*told).wrong
    monkeypatch.setattr(layers, "affordable", lambda _question, sizes, _arithmetic: sizes["n"] == 3)
    verdict = check_claim(*told)
    assert (verdict.verdict, verdict.reason) == ("inconclusive", layers.ONE_SIZE)


def test_time_that_is_up_ends_a_claim_and_not_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(*_: Any) -> Any:
        while True:
            pass

    before = signal.getsignal(signal.SIGALRM)
    monkeypatch.setattr("matcalc.claims.asking.decide", endless)
    verdict = check_claim("x.T @ x", "x", "x", ["x: real(n)"], seconds=0.1)
    assert (verdict.verdict, verdict.reason) == ("inconclusive", "it takes too long")
    assert verdict.seconds < 3
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    monkeypatch.undo()
    monkeypatch.setattr("matcalc.claims.asking.explain", endless)
    verdict = check_claim("x.T @ x", "x", "x", ["x: real(n)"], seconds=0.3)
    assert verdict.wrong


@pytest.mark.parametrize("error", [MemoryError("26 GiB"), RecursionError("deep"), OverflowError("large")])
def test_whatever_computing_ends_in_is_told(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*_: Any) -> Any:
        raise error

    monkeypatch.setattr("matcalc.claims.asking.decide", ended)
    found = check_entry({"f": "x.T @ x", "wrt": "x", "claim": "x", "vars": {"x": {"shape": ["n"]}}})
    assert found.verdict == "inconclusive"
    assert found.reason


class Slow:
    """Something whose finalizer, as that of a weak reference's callback may, lasts longer than the time that is left."""

    def __del__(self) -> None:
        end = time.perf_counter() + 0.2
        while time.perf_counter() < end:
            pass


def test_an_end_that_falls_into_a_finalizer_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless() -> None:
        Slow()  # what is raised in it Python only prints, which pytest takes for a failure
        while True:
            pass

    monkeypatch.setattr(clock, "GRACE", 0.05)
    with pytest.raises(clock.OutOfTimeError), clock.within(0.01):
        endless()


def test_an_end_that_falls_into_a_collection_of_garbage_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def lasting(_: str, __: dict[str, int]) -> None:  # Python only prints what is raised in a callback of the collector, too
        end = time.perf_counter() + 0.2
        while time.perf_counter() < end:
            pass

    def endless() -> None:
        gc.collect()
        while True:
            pass

    monkeypatch.setattr(clock, "GRACE", 0.05)
    gc.callbacks.append(lasting)
    try:
        with pytest.raises(clock.OutOfTimeError), clock.within(0.01):
            endless()
    finally:
        gc.callbacks.remove(lasting)


def test_a_thread_has_no_signals_but_a_clock() -> None:
    with ThreadPoolExecutor() as pool:
        verdict = pool.submit(check_claim, "x.T @ x", "x", "x", ["x: real(n)"], seconds=0.0).result()
    assert (verdict.verdict, verdict.reason) == ("inconclusive", "it takes too long")


# --- labels ------------------------------------------------------------------------------------------------------------------------

REAL = ["x: real(n)", "X: real(n, n)", "A: real(n, n)", "v: positive(n)", "a: positive"]


@pytest.mark.parametrize(
    ("f", "wrt", "claim", "kind"),
    [
        ("sum(v ** a)", "v", "a * v ** a", "elementwise_derivative"),
        ("sum(v ** a)", "v", "v ** a * log(v)", "wrong_variable"),
        ("sum(v ** a)", "a", "sum(v ** a)", "chain_missing"),
        ("sum(v ** a)", "a", "sum(a * v ** (a - 1))", "elementwise_derivative"),
        ("prod(v)", "v", "prod(v) * ones(n)", "chain_missing"),
        ("prod(v)", "v", "prod(v) * v", "elementwise_derivative"),
        ("prod(v)", "v", "1 / v", "outer_chain"),
        ("sum(1 / v)", "v", "log(v)", "elementwise_derivative"),
        ("sum(X * X.T)", "X", "X + X.T", "symmetric_assumption"),
        ("trace(A @ diag(x))", "x", "A @ ones(n)", "elementwise_vs_matrix"),
        ("norm(relu(A @ x)) ** 2", "x", "2 * A.T @ (A @ x)", "domain"),
    ],
)
def test_explanations_that_fresh_eyes_missed(f: str, wrt: str, claim: str, kind: str) -> None:
    verdict = check_claim(f, wrt, claim, REAL)
    assert verdict.wrong
    kinds = [reason.kind for reason in verdict.explanations]
    assert kind in kinds
    assert "other" not in kinds
    assert "symmetric_treatment" not in kinds
    messages = [reason.message.rstrip(".") for reason in verdict.explanations]
    assert len(set(messages)) == len(messages)


def test_nothing_fits_a_derivative_that_is_zero() -> None:
    verdict = check_claim("sum(softmax(softmax(x)))", "x", "2 * x", ["x: real(n)"])
    assert [(reason.kind, reason.message) for reason in verdict.explanations] == [("other", "the derivative is zero everywhere")]
    treated = check_claim("sum(softmax(x))", "x", "softmax(x) * (1 - softmax(x))", ["x: real(n)"])
    assert treated.explanations[0].kind == "elementwise_vs_matrix"


def test_terms_of_a_jacobian_are_told_without_what_comes_in_from_outside() -> None:
    verdict = check_claim("x / norm(x)", "x", "eye(n) / norm(x) + outer(x, x) / norm(x)**3", ["x: real(n)"])
    assert verdict.wrong
    assert "bar" not in " ".join(reason.message for reason in verdict.explanations)


# --- the edges of sets, of shapes and of sizes ---------------------------------------------------------------------------------------

EDGES = [
    ("log(abs(det(X)))", "X", "inv(X).T", True),
    ("log(abs(det(X)))", "X", "inv(X.T @ X) @ X.T", False),
    ("log(det(X)**2)", "X", "2 * inv(X).T", True),
    ("sqrt(det(X)**2)", "X", "abs(det(X)) * inv(X).T", True),
    ("sqrt(det(X)**2)", "X", "det(X) * inv(X).T", False),
    ("sum((-x)**3)", "x", "-3 * abs(x)**2", True),
    ("sum(sqrt(x**2))", "x", "x / abs(x)", True),
    ("sum(sqrt(x**2))", "x", "ones(n)", False),
    ("sum(abs(x)**3)", "x", "3 * x * abs(x)", True),
    ("sum(abs(x)**3)", "x", "3 * x**2", False),
    ("log(x.T @ x)", "x", "2 * x / norm(x)**2", True),
    ("sum(log(x**2))", "x", "2 / abs(x)", False),
    ("sum(B)", "B", "outer(ones(m), ones(n))", True),
    ("norm(B @ B.T)**2", "B", "4 * B @ B.T @ B", True),
    ("norm(B @ B.T)**2", "B", "4 * B @ B @ B", False),  # for square matrices only, and wrong there too
    ("trace(B.T @ B)", "B", "B + B.T", False),
    ("norm(x)", "x", "sign(x)", False),  # for n = 1 only
    ("prod(x)", "x", "ones(n)", False),
    ("sum(outer(x, ones(n)))", "x", "n * ones(n)", True),
    ("sum(outer(x, ones(n)))", "x", "3 * ones(n)", False),
    ("trace(X) * n", "X", "4 * eye(n)", False),
    ("x.T @ x / n", "x", "2 * x / 3", False),
    ("det(2 * X)", "X", "2**n * det(X) * inv(X).T", True),
    ("det(2 * X)", "X", "8 * det(X) * inv(X).T", False),
    ("det(-X)", "X", "(-1)**n * det(X) * inv(X).T", True),
    ("det(-X)", "X", "-det(X) * inv(X).T", False),
]


@pytest.mark.parametrize(("f", "wrt", "claim", "right"), EDGES)
def test_edges_of_sets_shapes_and_sizes(f: str, wrt: str, claim: str, *, right: bool) -> None:
    verdict = check_claim(f, wrt, claim, ["x: real(n)", "X: real(n, n)", "B: real(m, n)"])
    assert verdict.right if right else verdict.wrong


def test_sizes_at_which_a_matrix_is_singular_hide_nothing() -> None:
    """A P⁻¹ Aᵀ has no inverse where A has more rows than columns; there is nothing but rounding to explain."""
    told = ("log(det(A @ inv(P) @ A.T))", "A", "2 * inv(A @ inv(P) @ A.T) @ A @ inv(P)", ["A: real(m, n)", "P: invertible(n)"])
    assert check_claim(*told).explanations[0].kind == "symmetric_assumption"


# --- what a review found -------------------------------------------------------------------------------------------------------------

NUCLEAR = ["A: real(m, n)", "X: real(m, n)", "a: real"]


@pytest.mark.parametrize(
    ("wrt", "claim", "wrong"),
    [("a", "nuclear(A) * X", "nuclear(X) * A"), ("X", "a * nuclear(A) * dX", "a * nuclear(A) * X + 0 * dX")],
)
def test_derivatives_that_are_matrices_are_compared_entry_by_entry_in_floats_too(wrt: str, claim: str, wrong: str) -> None:
    verdict = check_claim("a * nuclear(A) * X", wrt, claim, NUCLEAR)
    assert (verdict.verdict, verdict.layers[-1].name) == ("verified", "finite differences")
    assert check_claim("a * nuclear(A) * X", wrt, wrong, NUCLEAR).wrong


def test_what_is_assumed_to_find_points_is_assumed_to_explain_too() -> None:
    verdict = check_claim("sum(sqrt(x) * x)", "x", "sqrt(x)", ["x: real(8)"])
    assert verdict.wrong
    assert "positive" in verdict.notes[-1]
    assert verdict.explanations[0].kind == "scalar_factor"
    assert verdict.counterexample is not None
    assert min(verdict.counterexample.inputs["x"]) > 0


def test_no_sentence_tells_what_the_program_calls_things() -> None:
    power = check_claim("sum(x ** (a + 1))", "x", "x ** a", ["x: positive(n)", "a: positive"])
    assert not any("add(" in reason.message for reason in power.explanations)
    late = check_claim("x.T @ x", "x", None, ["x: real(n)"], seconds=0.0)
    assert late.headline == "inconclusive: the derivative of x.T @ x with respect to x cannot be told: it takes too long"
    near = check_claim("sum(erf(x))", "x", "-1.128379 * exp(-x**2)", ["x: real(n)"])
    assert [reason.message for reason in near.explanations] == [
        "the claim is -0.999999852 times the derivative",
        "the sign of the claim is wrong, besides a factor 0.999999852",
    ]


def test_sides_of_a_kronecker_product_that_are_exchanged() -> None:
    rows = check_claim("vec(A @ X @ B)", "X", "kron(A, B.T)", ["A: real(m, n)", "X: real(n, p)", "B: real(p, q)"])
    assert [(reason.kind, reason.repair) for reason in rows.explanations] == [("product_order", "kron(B.T, A)")]


def test_a_rule_that_was_learnt_wrongly_is_used_wrongly_everywhere() -> None:
    verdict = check_claim("sum(x**2) + sum((A @ x)**3)", "x", "2 * x**2 + 3 * A.T @ (A @ x)**3", ["x: real(n)", "A: real(m, n)"])
    assert [reason.kind for reason in verdict.explanations] == ["elementwise_derivative"]


def test_derivatives_by_numbers_are_explained_by_other_numbers() -> None:
    verdict = check_claim("a * b * X", "a", "a * X", ["a: real", "b: real", "X: real(m, n)"])
    assert "the claim is the derivative with respect to b" in {reason.message for reason in verdict.explanations}


def test_a_row_that_has_no_rule_is_a_row() -> None:
    verdict = check_claim("nuclear(x @ y.T)", "x", "2 * norm(y) * x.T / norm(x)", ["x: real(n, 1)", "y: real(m, 1)"], kind="jacobian")
    assert verdict.explanations[0].message == "the claim is 2 times the derivative"


def test_smaller_sets_are_parts_of_the_set() -> None:
    power = ("sum(x ** (a + 1))", "x", "x ** a")
    assert "right only where a = 0" in {r.message for r in check_claim(*power, ["x: positive(n)", "a: real"]).explanations}
    assert "right only where a = 0" not in {r.message for r in check_claim(*power, ["x: positive(n)", "a: positive"]).explanations}


def test_the_right_derivative_is_told_where_the_claim_fits_nowhere() -> None:
    assert check_claim("norm(A @ x)**2", "x", "2 * A @ A @ x", ["A: real(m, n)", "x: real(n)"]).derivative_text == "2 * A.T @ A @ x"


def test_an_entry_without_a_claim_has_none() -> None:
    found = check_entry({"f": "x +", "wrt": "x"})
    assert found.claim is None
    assert found.headline.startswith("inconclusive: the derivative of x + with respect to x cannot be told")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"spelling": "latin"}, "spelling is one of latex, unicode, numpy, matlab, but 'latin' came"),
        ({"seconds": -1}, "seconds must be a number from 0 on, but -1 came"),
        ({"seconds": float("inf")}, "seconds must be a number from 0 on, but inf came"),
        ({"seed": -5}, "seed must be a number from 0 on, but -5 came"),
        ({"variables": ["x: real(n)", "x: real(m)"]}, "x is declared in two ways"),
    ],
)
def test_options_that_are_none(given: dict[str, Any], message: str) -> None:
    options: dict[str, Any] = {"variables": ["x: real(n)"], **given}
    with pytest.raises(ValueError, match=message):
        check_claim("x.T @ x", "x", "2 * x", **options)


@pytest.mark.slow
def test_jax_is_not_asked_for_what_it_does_not_know() -> None:
    """The gradient by a symmetric matrix is no gradient by an array of entries that move one by one."""
    assert by_jax(question("trace(A @ X)", "X", "(A + A.T) / 2", "A: real(n, n)", "X: symmetric(n)")).says == "nothing"


def test_smaller_sets_are_told_where_nothing_has_a_size() -> None:
    verdict = check_claim("abs(x)", "x", "1", ["x: real"])
    assert "right only where x > 0" in {reason.message for reason in verdict.explanations}
    assert not any("the derivative after x" in reason.message for reason in verdict.explanations)


def test_a_constant_may_be_told_in_the_digits_of_floats() -> None:
    assert check_claim("pi * x", "x", "3.141592653589793", ["x: real"]).verdict == "verified"
    assert check_claim("pi * x", "x", "3.14159265358", ["x: real"]).verdict == "refuted"
    assert check_claim("pi * x.T @ x", "x", "2 * pi * x", ["x: real(n)"]).verdict == "proved"


@pytest.mark.parametrize(
    ("f", "wrt", "claim", "wrong"),
    [
        ("t * x.T", "t", "x.T", "-x.T"),
        ("x.T @ A", "x", "dx.T @ A", "2 * dx.T @ A"),
        ("x.T @ A", "A", "x.T @ dA", "x.T @ A @ dA.T @ A"),
        ("x.T @ A", "x", "A.T", "-A.T"),
    ],
)
def test_a_row_is_no_column(f: str, wrt: str, claim: str, wrong: str) -> None:
    declared = ["x: real(n, 1)", "A: real(n, m)", "t: real"]
    assert check_claim(f, wrt, claim, declared).verdict == "proved"
    assert check_claim(f, wrt, wrong, declared).wrong
    if wrt != "A":  # whose Jacobian is not told in matrix form
        assert check_claim(f, wrt, None, declared).verdict == "proved"


@pytest.mark.parametrize(
    ("f", "wrt", "claim", "declared"),
    [
        ("a.T @ x", "x", "a.T", ["a: real(n)", "x: real(n)"]),
        ("a.T @ x", "x", "a", ["a: real(n)", "x: real(n)"]),
        ("A @ X @ b", "X", "np.kron(b, A)", ["A: real(p, m)", "X: real(m, n)", "b: real(n)"]),
        ("A @ X @ b", "X", "np.kron(b.T, A)", ["A: real(p, m)", "X: real(m, n)", "b: real(n)"]),
    ],
)
def test_a_jacobian_in_one_dimension_is_as_numpy_has_it(f: str, wrt: str, claim: str, declared: list[str]) -> None:
    assert check_claim(f, wrt, claim, declared, kind="jacobian").verdict == "proved"
    assert check_claim(f, wrt, f"2 * {claim}", declared, kind="jacobian").wrong


def test_derivatives_of_what_does_not_depend_and_of_ties() -> None:
    assert check_claim("trace(X)", "X", None, ["X: real(n, n)"], kind="hessian").verdict == "proved"
    assert check_claim("sum(max(x, x))", "x", None, ["x: real(n)"]).derivative_text == "ones(n)"


def test_what_is_shown_is_no_rounding() -> None:
    """XᵀX has an inverse in floats where X has fewer rows than columns, but it means nothing."""
    known = variables("X: real(m, n)")
    for f in ("log(det(X.T @ X))", "norm(inv(X.T @ X))"):
        for seed in range(5):
            assert random_inputs(parse(f, known).expr, known, seed)["X"].shape == (3, 2)
    with pytest.raises(FormulaError, match="no inputs were found"):
        random_inputs(parse("log(-norm(X))", known).expr, known)


# --- what newcomers found ------------------------------------------------------------------------------------------------------------

PATHS = "the path through x is missing, while the path through xᵀ counts twice"
TRACES = ["A: real(p, m)", "X: real(m, n)", "B: real(n, n)", "C: real(m, p)"]


def told(f: str, wrt: str, claim: str, declared: Any = None, **options: Any) -> list[tuple[str, str]]:
    verdict = check_claim(f, wrt, claim, declared, **options)
    assert verdict.wrong
    return [(reason.kind, reason.message) for reason in verdict.explanations]


def test_a_mistake_is_told_once() -> None:
    found = told("x'*A*x", "x", "2*A*x", ["A: real(n, n)", "x: real(n)"])
    assert found == [("symmetric_assumption", "right only where A is symmetric"), ("missing_term", PATHS)]
    steps = told("logsumexp(Z @ w)", "w", "softmax(Z @ w)")
    assert steps == [("chain_missing", "the claim is the derivative with respect to Z @ w: the steps from there to w are missing")]
    extra = told("a.T @ x", "x", "a + b + c", [f"{each}: real(n)" for each in "abcx"])
    assert ("missing_term", "the terms b and c are too much") in extra


@pytest.mark.parametrize(
    ("f", "wrt", "claim", "declared"),
    [
        ("log(det(A @ inv(P) @ A.T))", "A", "2*inv(A @ inv(P) @ A.T) @ A @ inv(P)", ["A: real(m, n)", "P: invertible(n)"]),
        ("trace(A*X*B*X'*C)", "X", "A'*C'*X*B' + C*A*X*B'", TRACES),
        ("norm(A @ x - y)**2", "x", "2*A @ (A @ x - y)", ["A: real(n, n)", "x: real(n)", "y: real(n)"]),
    ],
)
def test_a_set_within_another_one_is_not_told(f: str, wrt: str, claim: str, declared: list[str]) -> None:
    sets = [message for _, message in told(f, wrt, claim, declared) if message.startswith(("right where", "right only where"))]
    assert len(sets) == 1
    assert sets[0].endswith("is symmetric")


def test_only_is_said_where_it_is_only() -> None:
    """2A'(Ax - y'y 𝟏) is right for y = 𝟏/m, and 2A²x where A is antisymmetric, or its square the identity."""
    assert ("domain", "right where y = 0") in told("norm(A @ x - y)**2", "x", "2*A.T @ (A @ x - y.T @ y)")
    assert ("symmetric_assumption", "right where A is symmetric") in told("x.T @ A @ A @ x", "x", "2*A @ A @ x")
    both = {message for _, message in told("norm(A @ x)**2", "x", "2*A @ A.T", kind="hessian")}
    assert {"right where A is symmetric", "right where A has orthonormal columns"} <= both
    assert ("domain", "right only where y has length 1") in told("x.T @ y", "x", "y / norm(y)")
    sets = [message for kind, message in told("abs(prod(x))", "x", "prod(x) / x", ["x: real(n)"]) if kind == "domain"]
    assert sets == ["right only where prod(x) > 0"]  # and not where all entries are positive, which is within it
    assert ("domain", "right where all entries of x are positive") in told("sqrt(prod(x)**2)", "x", "prod(x) / x", ["x: real(n)"])


def test_a_transposed_variable_is_no_other_one() -> None:
    for f, wrt, claim in (("x'*x", "x", "x'*2"), ("trace(A*X')", "X", "2*A'"), ("trace(X'*X)", "X", "2*X'")):
        assert not any(f"with respect to {wrt}'" in message for _, message in told(f, wrt, claim, None, spelling="matlab"))


def test_no_rule_is_used_wrongly_where_the_wrong_one_does_not_fit() -> None:
    found = told("x.T @ A @ x / 2 - b.T @ x", "x", "A @ x / 2 - b", ["x: real(n)", "A: real(n, n)", "b: real(n)"])
    assert found[0] == ("missing_term", "the path through the 1st x is missing")
    assert not any("factor after it" in message for _, message in found)


def test_parts_that_cancel_each_other_are_missed_all_the_same() -> None:
    found = told("trace(X @ inv(X.T @ X) @ X.T)", "X", "2 * X @ inv(X.T @ X)", ["X: real(m, n)"])
    assert found[0][0] == "missing_term"


@pytest.mark.parametrize(("count", "line"), [(7, "  and 2 more explanations"), (6, "  and 1 more explanation"), (5, "")])
def test_explanations_that_are_not_printed_are_counted(count: int, line: str) -> None:
    reasons = tuple(Reason("other", f"number {k}", 0.0) for k in range(count))
    lines = str(ClaimVerdict("x", "x", "x", "gradient", "refuted", explanations=reasons)).splitlines()
    assert lines[6:] == ([line] if line else [])


@pytest.mark.parametrize(("f", "entry"), [("trace(A @ X)", "entry [0, 1] of"), ("tr(A X)", "entry 1, 2 of")])
def test_numpy_counts_from_zero_in_sentences_and_json_from_one(f: str, entry: str) -> None:
    verdict = check_claim(f, "X", "A", ["A: real(n, n)", "X: real(n, n)"])
    assert entry in str(verdict)
    assert verdict.json()["counterexample"]["entry"] == [1, 2]


def test_a_variable_that_there_is_not() -> None:
    for claim in (None, "2*A.T @ (A @ x - y)"):
        with pytest.raises(ValueError, match="did you mean x"):
            check_claim("norm(A @ x - y)**2", "xx", claim)


def test_a_hessian_by_a_matrix() -> None:
    known = ["X: invertible(n)"]
    right = check_claim("trace(X.T @ X)", "X", "2*kron(eye(n), eye(n))", known, kind="hessian")
    assert right.verdict == "proved"
    assert right.notes[-1] == "rows and columns of the Hessian are in the order of vec(X), columns first"
    wrong = check_claim("log(det(X))", "X", "inv(X)", known, kind="hessian")
    assert "must be n n×n n" in wrong.explanations[0].message
    with pytest.raises(FormulaError, match=r"the Hessian with respect to the matrix X can be told only where it is zero"):
        check_claim("log(det(X))", "X", None, known, kind="hessian")
