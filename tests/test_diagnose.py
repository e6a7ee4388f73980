"""A refuted derivative is told why it is wrong: the first explanation names the mistake that was made on purpose.

Each wrong version stands with the kinds of explanation that name its mistake. Some mistakes are the same numbers under two
names (a factor missing is a formula), so several kinds may be right.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from math import nan
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from test_report import Page, a_refuted_verdict, a_run

from matcalc import diagnose
from matcalc.cases import Profile
from matcalc.catalogue import AnyRule, installed
from matcalc.checking import check
from matcalc.diagnose import FITS, explain, explain_shape
from matcalc.domain import Domain, real
from matcalc.property import FaultError, ask
from matcalc.report import write_html
from matcalc.report.words import KINDS, odd_one_out, sentences
from matcalc.rule import Linearization, Rule
from matcalc.verdict import Explanation, Status
from matcalc.verify import Observation, look, observe, quietly

FEW = Profile(cases=24, probes=2, perturbations=2)
Map = Callable[..., Any]
solve, inv, det = np.linalg.solve, np.linalg.inv, np.linalg.det


@lru_cache(maxsize=1)
def catalogue() -> Any:
    return installed()


@lru_cache
def seen(name: str) -> list[Observation]:
    return observe(catalogue()[name], seed=3, profile=FEW)


def parts(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple) else (value,)


def rewrap(like: Any, arrays: tuple[Any, ...]) -> Any:
    if not isinstance(like, tuple):
        return arrays[0]
    return type(like)(*arrays) if hasattr(like, "_fields") else arrays


def broken(rule: AnyRule, wrong: Callable[..., dict[str, Map]]) -> AnyRule:
    """The rule with its jvp, its vjp or both replaced; `wrong` takes the linearization and the inputs."""

    def function(*inputs: Any) -> Linearization[Any]:
        at = rule.function(*inputs)
        return replace(at, **wrong(at, *inputs))

    changed = object.__new__(Rule)
    changed.__dict__.update({**rule.__dict__, "function": function})
    function.__name__, function.__doc__, function.__module__ = rule.name, rule.function.__doc__, rule.function.__module__
    return changed


def explained(name: str, wrong: Callable[..., dict[str, Map]]) -> tuple[Explanation, ...]:
    rule = broken(catalogue()[name], wrong)
    with quietly():
        return explain(rule, [(one, ask(rule, one.batch)) for one in seen(name)])


# --- mistakes by wrapping --------------------------------------------------------------------------------------------------------


def results(change: Callable[[Any], Any], which: str = "vjp", *, first: bool = False) -> Callable[..., dict[str, Map]]:
    """Every array (or the first) that the map gives is changed."""

    def wrong(at: Any, *_: Any) -> dict[str, Map]:
        def linear(*given: Any) -> Any:
            right = getattr(at, which)(*given)
            return rewrap(right, tuple(x if first and k else change(x) for k, x in enumerate(parts(right))))

        return {which: linear}

    return wrong


def arguments(change: Callable[[Any], Any], which: str = "vjp") -> Callable[..., dict[str, Map]]:
    """The map is right for something else than it was asked."""
    return lambda at, *_: {which: lambda *given: getattr(at, which)(*(change(x) for x in given))}


def vjp(make: Callable[..., Map]) -> Callable[..., dict[str, Map]]:
    """A vjp written by hand, given the inputs."""
    return lambda at, *inputs: {"vjp": make(*inputs)}


def jvp(make: Callable[..., Map]) -> Callable[..., dict[str, Map]]:
    """A jvp written by hand, given the inputs."""
    return lambda at, *inputs: {"jvp": make(*inputs)}


def last_zeroed(x: Any) -> Any:
    flat = np.array(x).ravel()
    flat[-1:] = 0
    return flat.reshape(np.shape(x))


def on_diagonal(factor: float) -> Callable[[Any], Any]:
    return lambda x: x + (factor - 1) * x * np.eye(*x.shape) if x.ndim == 2 else x


def swapped(at: Any, *_: Any) -> dict[str, Map]:
    return {"vjp": lambda *given: tuple(reversed(at.vjp(*given)))}


def where(condition: Callable[..., Any], change: Callable[[Any], Any]) -> Callable[..., dict[str, Map]]:
    """The vjp is wrong only at inputs that meet a condition."""

    def wrong(at: Any, *inputs: Any) -> dict[str, Map]:
        def linear(*given: Any) -> Any:
            right = at.vjp(*given)
            return rewrap(right, tuple(change(x) for x in parts(right))) if condition(*inputs) else right

        return {"vjp": linear}

    return wrong


def single(x: Any) -> Any:
    return np.asarray(x, dtype=np.float32).astype(np.float64)


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def cholesky_vjp(K: Any, L_bar: Any, weight: float, *, order: bool = True) -> Any:
    L = np.linalg.cholesky(K)
    P = np.tril(L.T @ L_bar)
    P = P + (weight - 1) * np.diag(np.diag(P))
    S = inv(L).T @ P @ inv(L) if order else inv(L) @ P @ inv(L).T
    return (S + S.T) / 2


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


@dataclass(frozen=True)
class Case:
    rule: str
    mistake: str
    wrong: Callable[..., dict[str, Map]]
    kinds: tuple[str, ...]


def case(rule: str, mistake: str, kinds: str, wrong: Callable[..., dict[str, Map]]) -> Case:
    return Case(rule, mistake, wrong, tuple(kinds.split()))


def wrapped() -> list[Case]:
    """The same mistakes in many rules."""
    found = []
    for rule in ("matmul", "linear_solve", "trace_axbxt", "softmax", "gaussian_log_density", "hadamard"):
        found += [
            case(rule, "wrong sign", "sign", results(lambda x: -x)),
            case(rule, "twice", "scalar_factor", results(lambda x: 2 * x)),
            case(rule, "relative 1e-3", "relative_error", results(lambda x: x * (1 + 1e-3))),
            case(rule, "relative 1e-6", "relative_error", results(lambda x: x * (1 + 1e-6))),
            case(rule, "relative 1e-9", "relative_error", results(lambda x: x * (1 + 1e-9))),
            case(rule, "a single-precision result", "single_precision", results(single)),
            case(rule, "constant added", "added_term", results(lambda x: x + 1e-3)),
            case(rule, "nan", "not_finite", results(lambda x: x * np.nan)),
            case(rule, "last entry zero", "entries", results(last_zeroed)),
            case(rule, "|cotangent|", "direction", arguments(np.abs)),
            case(rule, "jvp of the wrong sign", "sign", results(lambda x: -x, "jvp")),
            case(rule, "|tangent|", "direction", arguments(np.abs, "jvp")),
            case(rule, "half of the first gradient", "scalar_factor", results(lambda x: x / 2, first=True)),
        ]
    for rule in ("matmul", "linear_solve", "inverse", "cholesky", "matrix_exponential"):
        found += [
            case(rule, "relu(cotangent)", "direction", arguments(lambda u: np.maximum(u, 0))),
            case(rule, "ones for the cotangent", "direction", arguments(np.ones_like)),
            case(rule, "single-precision cotangent", "direction single_precision", arguments(single)),
            case(rule, "first row zero", "entries", results(lambda x: np.concatenate([0 * x[:1], x[1:]]), first=True)),
        ]
    for rule in ("inverse", "det", "trace_cube", "matrix_exponential", "inverse_quadratic_general", "logdet_gram"):
        found += [
            case(rule, "transposed", "transpose", results(lambda x: x.T if x.ndim == 2 and x.shape[0] == x.shape[1] else x)),
            case(rule, "diagonal halved", "entries", results(on_diagonal(0.5))),
            case(rule, "lower triangle alone", "entries", results(lambda x: np.tril(x) if x.ndim == 2 else x)),
            case(rule, "no diagonal", "entries", results(on_diagonal(0.0))),
        ]
    for rule in ("logdet", "inverse_quadratic", "spd_square_root", "gaussian_log_density", "cholesky"):
        found.append(
            case(
                rule,
                "2 G - diag G",
                "symmetric_treatment entries",
                results(lambda x: 2 * x - x * np.eye(len(x)) if x.ndim == 2 and len(x) == x.shape[1] else x),
            )
        )
        found.append(case(rule, "diagonal doubled", "entries", results(on_diagonal(2.0))))
    return found


WRITTEN = [
    # products
    case(
        "matmul",
        "X̄ without its transpose",
        "inner_transpose wrong_operand formula product_order",
        vjp(lambda X, W: lambda Z: (Z @ W.T, X.T @ X @ W)),
    ),
    case("matmul", "jvp without its second term", "missing_term", jvp(lambda X, W: lambda dX, dW: dX @ W)),
    case("matmul", "jvp with its second term subtracted", "term_sign missing_term", jvp(lambda X, W: lambda dX, dW: dX @ W - X @ dW)),
    case("matmul", "jvp with its first term doubled", "term_factor added_term", jvp(lambda X, W: lambda dX, dW: 2 * dX @ W + X @ dW)),
    case("hadamard", "gradients swapped", "wrong_variable wrong_operand", swapped),
    case("hadamard", "first gradient of the wrong operand", "wrong_variable wrong_operand", vjp(lambda X, Y: lambda Z: (Z * X, Z * X))),
    case("hadamard", "cotangent forgotten", "chain_missing direction", vjp(lambda X, Y: lambda Z: (Y.copy(), X.copy()))),
    case("squared_distance", "gradients swapped", "sign wrong_variable", swapped),
    case("gram", "one of two terms", "missing_term", vjp(lambda X: lambda G: X @ G)),
    case("gram", "G taken for symmetric", "symmetric_assumption direction formula", vjp(lambda X: lambda G: 2 * X @ G)),
    case("commutator", "the second term added", "term_sign", vjp(lambda A, B: lambda C: (C @ B.T + B.T @ C, A.T @ C - C @ A.T))),
    case(
        "commutator",
        "factors of a term in the wrong order",
        "formula product_order term_sign missing_term added_term zero",
        vjp(lambda A, B: lambda C: (C @ B.T - C @ B.T, A.T @ C - C @ A.T)),
    ),
    case("congruence", "vjp as the jvp is written", "direction transpose not_adjoint", lambda at, *inputs: {"vjp": lambda Y: at.vjp(Y.T)}),
    case(
        "outer_product",
        "gradients swapped",
        "wrong_variable wrong_operand",
        vjp(lambda x, y: lambda Z: (Z.T @ x if len(x) == len(y) else Z @ y, Z.T @ x)),
    ),
    # inverses
    case("inverse", "the jvp for the vjp", "not_adjoint inner_transpose", vjp(lambda X: lambda Y: -inv(X) @ Y @ inv(X))),
    case("inverse", "no minus", "sign", vjp(lambda X: lambda Y: inv(X).T @ Y @ inv(X).T)),
    case("inverse", "on the left alone", "chain_missing", vjp(lambda X: lambda Y: -inv(X).T @ Y)),
    case("inverse", "X for its inverse", "inverse_rule", vjp(lambda X: lambda Y: -X.T @ Y @ X.T)),
    case("inverse", "factors in another order", "product_order", vjp(lambda X: lambda Y: -inv(X).T @ inv(X).T @ Y)),
    case("inverse", "one transpose too few", "inner_transpose", vjp(lambda X: lambda Y: -inv(X).T @ Y @ inv(X))),
    case(
        "linear_solve",
        "A for its transpose",
        "inner_transpose not_adjoint",
        vjp(lambda A, B: lambda U: (-solve(A, U) @ solve(A, B).T, solve(A, U))),
    ),
    case("linear_solve", "no minus", "sign", vjp(lambda A, B: lambda U: (solve(A.T, U) @ solve(A, B).T, solve(A.T, U)))),
    case(
        "linear_solve",
        "B for the solution",
        "chain_missing wrong_operand",
        vjp(lambda A, B: lambda U: (-solve(A.T, U) @ B.T, solve(A.T, U))),
    ),
    case(
        "linear_solve",
        "transposed gradient of A",
        "transpose",
        vjp(lambda A, B: lambda U: (-(solve(A.T, U) @ solve(A, B).T).T, solve(A.T, U))),
    ),
    case("linear_solve", "jvp without the term of A", "missing_term", jvp(lambda A, B: lambda dA, dB: solve(A, dB))),
    # determinants
    case("det", "no transpose", "transpose", vjp(lambda X: lambda y: y * det(X) * inv(X))),
    case("det", "no determinant", "outer_chain chain_missing", vjp(lambda X: lambda y: y * inv(X).T)),
    case("det", "|det|", "sign direction", vjp(lambda X: lambda y: y * abs(det(X)) * inv(X).T)),
    case("det", "wrong where det < 0", "scalar_factor", where(lambda X: det(X) < 0, lambda G: 2 * G)),
    case("logdet", "no inverse", "inverse_rule", vjp(lambda K: lambda y: y * K)),
    case(
        "logdet",
        "2 inverse - diagonal",
        "symmetric_treatment entries",
        vjp(lambda K: lambda y: y * (2 * inv(K) - np.diag(np.diag(inv(K))))),
    ),
    case("logdet", "the gradient of det", "outer_chain chain_missing added_factor", vjp(lambda K: lambda y: y * det(K) * inv(K))),
    case("log_abs_det", "wrong where det < 0", "sign", where(lambda X: det(X) < 0, lambda G: -G)),
    case("log_abs_det", "no transpose", "transpose", vjp(lambda X: lambda y: y * inv(X))),
    # forms and traces
    case("quadratic_form", "2 B x", "symmetric_assumption", vjp(lambda x, B: lambda y: (2 * y * (B @ x), y * np.outer(x, x)))),
    case("quadratic_form", "B x alone", "missing_term", vjp(lambda x, B: lambda y: (y * (B @ x), y * np.outer(x, x)))),
    case("quadratic_form", "(B - Bᵀ) x", "term_sign", vjp(lambda x, B: lambda y: (y * (B @ x - B.T @ x), y * np.outer(x, x)))),
    case(
        "trace_axbxt",
        "one of two paths",
        "missing_term",
        vjp(lambda A, X, B: lambda y: (y * (X @ B @ X.T).T, y * (A @ X @ B), y * (X.T @ A @ X).T)),
    ),
    case(
        "trace_axbxt",
        "gradient of A transposed",
        "transpose",
        vjp(lambda A, X, B: lambda y: (y * X @ B @ X.T, y * (A @ X @ B + A.T @ X @ B.T), y * (X.T @ A @ X).T)),
    ),
    case(
        "bilinear_form",
        "gradient of the matrix transposed",
        "transpose",
        lambda at, *inputs: {"vjp": lambda y: tuple(g.T if g.ndim == 2 and g.shape[0] == g.shape[1] else g for g in at.vjp(y))},
    ),
    case(
        "trace_of_product",
        "transposed where it can be",
        "transpose",
        lambda at, *_: {"vjp": lambda y: tuple(g.T if g.shape[0] == g.shape[1] else g for g in at.vjp(y))},
    ),
    case("matrix_inner_product", "gradients swapped", "wrong_variable wrong_operand", swapped),
    # entry by entry
    case("sigmoid", "s for s (1 - s)", "chain_missing elementwise_derivative", vjp(lambda z: lambda u: sigmoid(z) * u)),
    case("sigmoid", "no derivative", "chain_missing", vjp(lambda z: lambda u: 1 * u)),
    case("tanh", "1 - y for 1 - y²", "chain_missing elementwise_derivative formula", vjp(lambda z: lambda u: (1 - np.tanh(z)) * u)),
    case("tanh", "no derivative", "chain_missing", vjp(lambda z: lambda u: 1 * u)),
    case(
        "softplus",
        "its own value for the sigmoid",
        "chain_missing elementwise_derivative formula",
        vjp(lambda z: lambda u: np.log1p(np.exp(z)) * u),
    ),
    case("relu", "derivative 1 everywhere", "entries chain_missing", vjp(lambda z: lambda u: 1 * u)),
    case("relu", "leaks", "entries", vjp(lambda z: lambda u: np.where(z > 0, u, 0.5 * u))),
    # reductions, norms, layers
    case("arithmetic_mean", "no 1/n", "dimension_factor", vjp(lambda x: lambda u: u * np.ones_like(x))),
    case("variance", "n - 1 for n", "dimension_factor", vjp(lambda x: lambda u: 2 * u * (x - x.mean()) / max(len(x) - 1, 1))),
    case("variance", "no 1/n", "dimension_factor", vjp(lambda x: lambda u: 2 * u * (x - x.mean()))),
    case("variance", "mean not taken away", "added_term", vjp(lambda x: lambda u: 2 * u * x / len(x))),
    case("covariance", "n for n - 1", "dimension_factor", results(lambda G: G * (len(G) - 1) / len(G))),
    case("mean_squared_error", "no 1/n", "dimension_factor", lambda at, X, w, t: {"vjp": lambda u: tuple(len(t) * g for g in at.vjp(u))}),
    case("logsumexp", "not normalised", "outer_chain", vjp(lambda x: lambda u: u * np.exp(x))),
    case("frobenius_norm", "that of its square", "outer_chain chain_missing", vjp(lambda X: lambda y: 2 * y * X)),
    case("euclidean_norm", "not divided by the norm", "outer_chain chain_missing", vjp(lambda x: lambda y: y * x)),
    case("squared_norm", "no 2", "scalar_factor", vjp(lambda x: lambda y: y * x)),
    case("softmax", "p (1 - p)", "elementwise_vs_matrix", vjp(lambda z: lambda u: u * softmax(z) * (1 - softmax(z)))),
    case("softmax", "the second term dropped", "missing_term added_term", vjp(lambda z: lambda u: u * softmax(z))),
    case(
        "softmax_cross_entropy",
        "no target",
        "added_term missing_term",
        vjp(lambda z, y: lambda c: (c * softmax(z), -c * np.log(softmax(z)))),
    ),
    case("partial_sums", "no flip", "not_adjoint", vjp(lambda x: np.cumsum)),
    case("entry_product", "value over entry, doubled", "scalar_factor", results(lambda x: 2 * x)),
    case("unit_vector", "no projection", "missing_term added_term formula", vjp(lambda x: lambda u: u / np.linalg.norm(x))),
    case(
        "ridge",
        "no penalty",
        "missing_term",
        lambda at, X, w, y, lam: {"vjp": lambda u: tuple(g - (2 * u * lam * w if k == 1 else 0) for k, g in enumerate(at.vjp(u)))},
    ),
    case(
        "ridge",
        "half of the penalty",
        "missing_term",
        lambda at, X, w, y, lam: {"vjp": lambda u: tuple(g - (u * lam * w if k == 1 else 0) for k, g in enumerate(at.vjp(u)))},
    ),
    case(
        "gaussian_log_density",
        "no covariance in the gradient of x",
        "chain_missing inverse_rule",
        lambda at, x, mu, S: {"vjp": lambda u: (-u * (x - mu), *at.vjp(u)[1:])},
    ),
    case(
        "gaussian_log_density",
        "no log det in the gradient of the covariance",
        "added_term missing_term",
        lambda at, x, mu, S: {"vjp": lambda u: (*at.vjp(u)[:2], at.vjp(u)[2] + u * inv(S) / 2)},
    ),
    case(
        "gaussian_log_density",
        "gradients of x and mean swapped",
        "sign wrong_variable",
        lambda at, *_: {"vjp": lambda u: (at.vjp(u)[1], at.vjp(u)[0], at.vjp(u)[2])},
    ),
    # single precision inside
    case(
        "linear_solve",
        "everything in single precision",
        "single_precision",
        vjp(lambda A, B: lambda U: _solve_adjoint(single(A), single(B), single(U), np.float32)),
    ),
    case(
        "linear_solve",
        "inputs cut to single precision",
        "single_precision",
        vjp(lambda A, B: lambda U: _solve_adjoint(single(A), single(B), single(U), np.float64)),
    ),
    # factorisations and matrix functions
    case("cholesky", "diagonal not halved", "entries", vjp(lambda K: lambda L: cholesky_vjp(K, L, 1.0))),
    case("cholesky", "diagonal dropped", "entries", vjp(lambda K: lambda L: cholesky_vjp(K, L, 0.0))),
    case("matrix_exponential", "exp(A)ᵀ times the cotangent", "formula product_order", vjp(lambda A: lambda Y: _expm(A).T @ Y)),
    case("matrix_cube", "3 A² times the cotangent", "formula product_order", vjp(lambda A: lambda Y: 3 * (A @ A).T @ Y)),
    # only somewhere
    case("matmul", "wrong if not square", "scalar_factor", results(lambda x: 2 * x if x.ndim == 2 and x.shape[0] != x.shape[1] else x)),
    case("kronecker", "wrong if longer than one", "relative_error scalar_factor", results(lambda x: x * (1 + 0.1 * (x.size > 1)))),
    case("inverse", "wrong if ill-conditioned", "scalar_factor relative_error", where(lambda X: np.linalg.cond(X) > 5, lambda G: 1.5 * G)),
    case("softmax", "wrong where the first is the largest", "scalar_factor relative_error", where(lambda z: z[0] < 0, lambda G: 2 * G)),
    case(
        "lasso",
        "wrong sign of the penalty at negative weights",
        "missing_term entries added_term term_sign",
        lambda at, X, w, y, lam: {
            "vjp": lambda u: tuple(g + (u * lam * (1 - np.sign(w)) if k == 1 else 0) for k, g in enumerate(at.vjp(u)))
        },
    ),
]


def _solve_adjoint(A: Any, B: Any, U: Any, dtype: Any) -> Any:
    A, B, U = (x.astype(dtype) for x in (A, B, U))
    B_bar = solve(A.T, U)
    return (-B_bar @ solve(A, B).T).astype(np.float64), B_bar.astype(np.float64)


def _expm(A: Any) -> Any:
    from scipy.linalg import expm

    return expm(A)


CASES = [*wrapped(), *WRITTEN]


A_THIRD = [pytest.param(one, marks=pytest.mark.slow if k % 3 else ()) for k, one in enumerate(CASES)]
"The others take most of a minute."


@pytest.mark.parametrize("one", A_THIRD, ids=lambda c: f"{c.rule}: {c.mistake}")
def test_the_first_explanation_names_the_mistake(one: Case) -> None:
    """Whatever is claimed to fit fits, and the simplest explanation is the mistake that was made."""
    found = explained(one.rule, one.wrong)
    assert found
    assert len(found) <= 5
    assert all(e.residual <= FITS or e.sentence.startswith("nearly: ") for e in found)
    assert found[0].residual <= FITS
    assert found[0].kind in one.kinds, [e.sentence for e in found]


# --- what must never be said -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["matmul", "inverse", "cholesky", "softmax", "lasso"])
def test_nothing_is_said_against_a_right_rule(name: str) -> None:
    """A right rule has nothing to be explained, rounding included."""
    assert explained(name, lambda at, *_: {}) == ()


@pytest.mark.parametrize("name", ["matmul", "linear_solve", "logdet", "attention"])
def test_noise_is_not_explained(name: str) -> None:
    """Where there is no reason, none is given: an error of random size in every entry."""

    def noisy(x: Any) -> Any:
        rng = np.random.default_rng(int(np.sum(np.abs(x)) * 1e6) % 2**32)
        return x * (1 + 0.3 * rng.standard_normal(np.shape(x)))

    assert [e.sentence for e in explained(name, results(noisy)) if e.residual <= FITS and e.kind != "outer_chain"] == []


def test_a_small_mistake_is_not_explained_by_a_smaller_distance() -> None:
    """A relative 1e-8 in one direction alone leaves less than 1e-6 under any recipe near the identity, and none is accepted for that."""

    def wrong(at: Any, X: Any, _: Any) -> dict[str, Map]:
        return {"vjp": lambda Z: (at.vjp(Z)[0] * (1 + 1e-8 * np.tanh(3 * X)), at.vjp(Z)[1])}

    assert all("relative" not in e.sentence and "single" not in e.sentence for e in explained("matmul", wrong))


def test_a_rule_that_breaks_when_it_is_asked_more_is_no_reason_to_break() -> None:
    """The diagnosis asks the rule at other points and directions; what it does there cannot do harm."""

    def wrong(at: Any, _: Any) -> dict[str, Map]:
        def vjp_(Y: Any) -> Any:
            if np.count_nonzero(Y) == 1 and not Y.flat[0]:
                raise ZeroDivisionError
            return -2 * at.vjp(Y)

        return {"vjp": vjp_, "jvp": lambda dX: at.jvp(dX) if np.count_nonzero(dX) > 1 or dX.size == 1 else None}

    assert explained("inverse", wrong)[0].kind == "scalar_factor"


def test_an_input_that_stands_where_another_belongs_is_named() -> None:
    """The gradient is right as soon as the two are equal; where both it and the right one vanish there, that says nothing."""

    def f(x: Any, y: Any) -> Any:
        return np.sum(np.tanh(x) * y)

    found = check(f, real("n"), real("n"), grad=lambda x, y: (y * (1 - np.tanh(y) ** 2), np.tanh(x)))
    assert "right as soon as x and y are equal" in found.explanations[0].sentence
    squared = check(lambda x, y: np.sum((x - y) ** 2), real("n"), real("n"), grad=lambda x, y: ((x - y) * np.exp(x), 2 * (y - x)))
    assert squared.explanations
    assert not any("are equal" in one.sentence for one in squared.explanations)


# --- where, how small, how said ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("det", where(lambda X: det(X) < 0, lambda G: 2 * G), "only where det(X) < 0"),
        ("matmul", results(lambda x: 2 * x if x.shape[0] != x.shape[1] else x), "only where it is not square"),
        ("inverse", where(lambda X: np.linalg.cond(X) > 5, lambda G: 1.5 * G), "only where the condition number of X is above about"),
        ("hadamard", results(lambda x: x * (1 + 0.1 * (x.size > 1))), "only where it has more than one entry"),
        ("softmax", where(lambda z: z.max() > 1, lambda G: -G), "only where the largest entry of z is above about"),
    ],
)
def test_the_condition_that_tells_wrong_cases_from_right_ones_is_found(name: str, wrong: Any, words: str) -> None:
    """A rule that is wrong at some cases only is told which."""
    assert words in explained(name, wrong)[0].sentence


@pytest.mark.parametrize(
    ("name", "wrong", "sentence"),
    [
        ("inverse", results(lambda x: -x), "the gradient with respect to X has the wrong sign"),
        ("matmul", results(lambda x: 2 * x), "each of the gradients with respect to X and W is 2 times the expected one"),
        ("arithmetic_mean", vjp(lambda x: lambda u: u * np.ones_like(x)), "the gradient with respect to x is n times the expected one"),
        ("matmul", jvp(lambda X, W: lambda dX, dW: dX @ W), "the term of the jvp in dW is missing: it is zero"),
        (
            "inverse",
            vjp(lambda X: lambda Y: -inv(X).T @ Y @ inv(X)),
            "the gradient with respect to X is -X⁻ᵀ U X⁻¹, but -X⁻ᵀ U X⁻ᵀ was expected (U: the cotangent)",
        ),
        (
            "quadratic_form",
            vjp(lambda x, B: lambda y: (2 * y * (B @ x), y * np.outer(x, x))),
            "the gradient with respect to x is right as soon as B is symmetric: Bᵀ was taken for B",
        ),
    ],
)
def test_an_explanation_is_one_plain_sentence(name: str, wrong: Any, sentence: str) -> None:
    """What a reader is told, word by word."""
    assert sentence in [e.sentence for e in explained(name, wrong)]


def test_without_jax_the_same_is_found() -> None:
    """Where the function cannot be traced, what is expected comes from differences and from the rule's other map."""
    rule = catalogue()["linear_solve"]
    with quietly():
        untraced = [look(rule, one.batch, traced=False) for one in seen("linear_solve")]
        for wrong, kind in (
            (results(lambda x: -x), "sign"),
            (vjp(lambda A, B: lambda U: (-(solve(A.T, U) @ solve(A, B).T).T, solve(A.T, U))), "transpose"),
            (lambda at, *_: {"vjp": lambda U: tuple(2 * g for g in at.vjp(U)), "jvp": lambda *d: 2 * at.jvp(*d)}, "scalar_factor"),
        ):
            changed = broken(rule, wrong)
            found = explain(changed, [(one, ask(changed, one.batch)) for one in untraced])
            assert found[0].kind == kind
            assert found[0].residual <= FITS


def a_layer(wrong: Callable[..., Map]) -> Any:
    """Z = X W + b (b added to every row), with a vjp of our own."""

    class Layer:
        name = "layer"
        domains: ClassVar[dict[str, Domain]] = {"X": real("n p"), "W": real("p m"), "b": real("m")}
        differentiated = ("X", "W", "b")
        mapped = False
        strict = False
        constants: ClassVar[tuple[float, ...]] = ()

        @staticmethod
        def function(X: Any, W: Any, b: Any) -> Linearization[Any]:
            return Linearization(X @ W + b, lambda dX, dW, db: dX @ W + X @ dW + db, wrong(X, W, b))

        @staticmethod
        def value(X: Any, W: Any, b: Any) -> Any:
            return X @ W + b

    return Layer()


@pytest.mark.parametrize(
    ("gradient", "words"),
    [
        (lambda Z: Z, "sum it over axis 0, over which the input was broadcast"),
        (lambda Z: Z.sum(axis=0)[None], "sum it over axis 0"),
        (lambda Z: 2 * Z.sum(axis=0)[:, None], "and it is wrong even then"),
        (lambda Z: Z.sum(), "it has too few entries"),
    ],
)
def test_a_gradient_of_the_wrong_shape_is_told_how_to_get_the_right_one(gradient: Any, words: str) -> None:
    """The classic: a bias gradient that is not summed over the batch it was broadcast over."""
    subject = a_layer(lambda X, W, b: lambda Z: (Z @ W.T, X.T @ Z, gradient(Z)))
    with quietly():
        observations = observe(subject, seed=0, profile=FEW)[:1]
        with pytest.raises(FaultError, match="shape"):
            ask(subject, observations[0].batch)
        (found, *_) = explain_shape(subject, observations)
    assert found.kind == "shape"
    assert words in found.sentence
    assert found.of == "the gradient with respect to b"


# --- for readers ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("votes", "sentence"),
    [
        ({"rule / JAX": 1.4, "rule / FD": 1.4, "JAX / FD": 3e-12}, "JAX and FD agree with each other; this rule disagrees with both"),
        ({"rule / JAX": 1e-13, "rule / FD": 1.4, "JAX / FD": 1.4}, "this rule and JAX agree with each other; FD disagrees with both"),
        ({"rule / JAX": nan, "rule / FD": nan, "JAX / FD": 0.0}, "JAX and FD agree with each other; this rule disagrees with both"),
        ({"rule / JAX": 1e-9, "rule / FD": 1e-9, "JAX / FD": 1e-13}, "JAX and FD agree with each other; this rule disagrees with both"),
        ({"rule / JAX": 1.0}, ""),
        ({"a / b": 1.0, "a / c": 1.0, "b / c": 0.9}, ""),
        (
            {"a / b": 1e-15, "a / c": 1.0, "a / d": 1.0, "b / c": 1.0, "b / d": 1.0, "c / d": 0.0},
            "c and d agree with each other, and so do a and b, but the two groups disagree",
        ),
        ({}, ""),
    ],
)
def test_the_odd_one_out_is_named(votes: dict[str, float], sentence: str) -> None:
    """Whoever is far from witnesses that are near each other is the one to suspect; else nobody is."""
    assert odd_one_out(votes) == sentence


def test_a_refuted_rule_is_explained_in_a_terminal() -> None:
    """Who disagrees, every explanation with its residual; nothing for a rule that passed."""
    verdict = replace(a_refuted_verdict(), explanations=(Explanation("sign", "the jvp has the wrong sign", 2e-16, "the jvp"),))
    assert sentences(verdict) == [
        "JAX reverse and the finite difference agree with each other; this rule disagrees with both",
        "it looks as if the jvp has the wrong sign (distance that remains: 2e-16)",
    ]
    assert sentences(replace(verdict, explanations=()))[-1] == "no explanation that was tried fits"
    assert sentences(replace(verdict, status=Status.VERIFIED)) == []
    assert sentences(replace(verdict, counterexample=None, explanations=())) == []


def test_every_kind_has_words_for_readers() -> None:
    """The page says what a kind of mistake is in words of its own."""
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(diagnose.__file__).parent.glob("*.py"))
    named = set(re.findall(r'(?:Guess|Finding)\(\s*"([a-z_]+)"', sources))
    assert len(named) > 10
    assert {kind for one in CASES for kind in one.kinds} | named <= set(KINDS)


def test_the_failing_page_shows_what_it_looks_like(tmp_path: Path) -> None:
    """Explanations with residuals, the odd one out, and the size of the error stand on the page; what nearly fits says so."""
    found = (
        Explanation("sign", "the gradient with respect to A has the wrong sign", 2e-16, "the gradient with respect to A"),
        Explanation("entries", "nearly: the gradient with respect to A is right but for <b>", 3e-4, "the gradient with respect to A"),
    )
    run = a_run()
    verdicts = tuple(replace(v, explanations=found) if v.rule == "skew_product" else v for v in run.verdicts)
    page = Page(write_html(replace(run, verdicts=verdicts), tmp_path / "r").parent / "rules" / "skew_product.html")
    for words in ("has the wrong sign", "distance that remains: 2e-16", "nearly: the gradient", "<b>", "Why we think so", "off by"):
        assert words in page.text
    assert "JAX reverse and the finite difference agree with each other; this rule disagrees with both" in page.text
    assert "None of the explanations" not in page.text
    verdicts = tuple(replace(v, explanations=()) for v in run.verdicts)
    without = Page(write_html(replace(run, verdicts=verdicts), tmp_path / "s").parent / "rules" / "skew_product.html")
    assert "None of the explanations that were tried fits" in without.text
