"""What stands in a branch of somebody's code is found, however rare the branch is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import matcalc
from matcalc.domain import Domain, distinct, held, near, punctured, real
from matcalc.oracle import branching
from matcalc.oracle.branching import Gaps
from matcalc.rule import Linearization, unclaimed
from matcalc.special.branches import sought
from matcalc.verdict import Status

POINTS = [np.array([[1.0, -2.0, 0.5], [3.0, 3.0, 0.0]])]


def compared(gaps: Gaps) -> list[tuple[str, Any]]:
    """Gaps in the order of the code, without their sites."""
    return [(site.kind, found.tolist()) for site, found in gaps.items()]


# --- what code compares ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind", "gap"),
    [
        (lambda x: jnp.where(x > 2, x, 0.0), "order", lambda x: x - 2),
        (lambda x: jnp.where(x <= x[0], x, 0.0), "order", lambda x: x - x[0]),
        (lambda x: jnp.where(jnp.any(x == 0), x, 0.0), "equality", lambda x: x),
        (lambda x: jnp.maximum(x, 7.0), "order", lambda x: x - 7),
        (jax.jit(lambda x: jnp.minimum(3 * x, 7.0)), "order", lambda x: 3 * x - 7),
        (jax.nn.relu, "order", lambda x: x),
        (lambda x: jax.lax.cond(x[1] < 1, jnp.sin, jnp.cos, x), "order", lambda x: x[1:2] - 1),
    ],
)
def test_what_a_traced_program_compares(code: Callable[..., Any], kind: str, gap: Callable[[Any], Any]) -> None:
    assert compared(branching.traced(code, POINTS)) == [(kind, [gap(x).tolist() for x in POINTS[0]])]


@pytest.mark.parametrize(
    ("code", "kind", "gap"),
    [
        (lambda x: np.where(x > 2, x, 0.0), "order", lambda x: x - 2),
        (lambda x: 1 if x[1] > 100 else 2, "order", lambda x: x[1:2] - 100),
        (lambda x: np.any(x == 0), "equality", lambda x: x),
        (lambda x: np.any(x), "equality", lambda x: np.concatenate([x, x])),  # NumPy asks twice
        (lambda x: 1 if x[0] else 2, "equality", lambda x: x[:1]),
        (lambda x: np.array_equal(x, 2 * x[::-1]), "equality", lambda x: x - 2 * x[::-1]),
        (lambda x: max(x[0], 5.0), "order", lambda x: x[:1] - 5),
        (lambda x: [1 for entry in x if entry < 0.25], "order", lambda x: x - 0.25),
        (lambda x: np.maximum(np.linalg.norm(x, ord=1), 1.0), "order", lambda x: np.abs(x).sum()[None] - 1),
        (lambda x: np.isclose(x, 1.0, rtol=0, atol=0.5).all(), "order", lambda x: np.abs(x - 1) - 0.5),
    ],
)
def test_what_code_of_numpy_compares(code: Callable[..., Any], kind: str, gap: Callable[[Any], Any]) -> None:
    assert (kind, [gap(x).tolist() for x in POINTS[0]]) in compared(branching.watched(code, POINTS))


def test_comparisons_that_only_some_points_come_to() -> None:
    def code(x: Any) -> Any:
        if x[0] > 2 and x[2] == 0:
            return x
        raise ValueError("nothing but a comparison is wanted")

    (_, first), (_, second) = compared(branching.watched(code, POINTS))
    assert first == [[-1.0], [1.0]]
    assert np.isnan(second[0]).all()
    assert second[1] == [0.0]


def test_ranks() -> None:
    gaps = [[2.5, 0.5], [3.0, 0.0]]  # of 1, -2, 0.5 and of 3, 3, 0
    assert compared(branching.traced(jnp.sort, POINTS)) == [("ranks", gaps)]
    assert compared(branching.traced(lambda x: jax.lax.top_k(x, 2)[0], POINTS)) == [("ranks", gaps)]
    assert compared(branching.traced(jnp.argsort, POINTS)) == [("ranks", gaps)]
    for code in (lambda x: np.sort(x), np.argsort, lambda x: x.argmax(), lambda x: np.argmin(x)):
        assert compared(branching.watched(code, POINTS)) == [("ranks", gaps)]


def test_integers_and_loops_are_left_out() -> None:
    def code(x: Any) -> Any:
        def body(carry: Any, entry: Any) -> tuple[Any, Any]:
            return jnp.maximum(carry, entry), entry

        return jnp.where(jnp.arange(3) > 1, jax.lax.scan(body, x[0], x)[0], 0.0)

    assert branching.traced(code, POINTS) == {}


def test_what_a_factorisation_compares_is_left_out() -> None:
    def code(x: Any) -> Any:
        A = jnp.outer(x, x) + jnp.eye(3)
        return jnp.linalg.slogdet(A)[1] + jnp.linalg.eigh(A)[0] + jnp.linalg.inv(A)[0]

    assert branching.traced(code, POINTS) == {}


def test_the_line_is_named() -> None:
    def code(x: Any) -> Any:
        return np.where(x > 2, x, 0.0)

    assert [site.line for site in branching.watched(code, POINTS)] == ["return np.where(x > 2, x, 0.0)"]

    def traced(x: Any) -> Any:
        return jnp.where(jnp.isclose(x, 2.0), x, 0.0)  # the comparisons stand in JAX's own code

    assert {site.line.partition("  #")[0] for site in branching.traced(traced, POINTS)} == {"return jnp.where(jnp.isclose(x, 2.0), x, 0.0)"}


def test_arrays_that_are_watched_compute_as_others_do() -> None:
    notes = branching.Notes({})
    x, y = notes.watch(np.arange(6.0).reshape(2, 3)), np.arange(6.0).reshape(2, 3)
    for f in (
        lambda a: np.linalg.norm(a @ a.T),
        lambda a: np.sum(a, axis=0)[1],
        lambda a: np.add.reduce(a),
        lambda a: np.concatenate([a, a]) * 2,
        lambda a: np.linalg.eigh(a @ a.T)[0],
        lambda a: np.divmod(a, 2.0)[1],
        lambda a: np.multiply(a, 2.0, out=np.zeros((2, 3))),
        lambda a: np.einsum("ij->j", a),
        lambda a: a.max(axis=1) - a.min() + a.sum() + a.mean() - a.std(),
        lambda a: np.sort(-a, axis=None)[::-1],
        lambda a: a.argsort(axis=1),
        lambda a: np.argsort(-a),
        lambda a: np.argmax(a, axis=0) + a.argmin(),
        lambda a: np.median(a, axis=0),
        lambda a: np.where(a > 2, a, 0).T.reshape(-1).astype(int),
        lambda a: np.exp(a - np.max(a)) / np.exp(a).sum(),
        lambda a: [float(e) for e in a[0]],
    ):
        assert np.array_equal(f(x), f(y))
    x += 1
    assert isinstance(x, branching.Watched)
    assert np.array_equal(x, y + 1)


# --- what is wrong in a branch --------------------------------------------------------------------------------------------------


def huber(w: Any, X: Any, y: Any) -> Any:
    r = X @ w - y
    return jnp.sum(jnp.where(jnp.abs(r) <= 1, r * r / 2, jnp.abs(r) - 0.5))


def huber_gradient(w: Any, X: Any, y: Any) -> Any:
    return X.T @ jnp.clip(X @ w - y, -1, 1)


def rotation(q: Any, v: Any) -> Any:
    w, u = q[0], q[1:]
    return (w * w - u @ u) * v + 2 * u * (u @ v) + 2 * w * jnp.cross(u, v)


def rotation_vjp(q: Any, v: Any, c: Any) -> Any:
    w, u = q[0], q[1:]
    of_q = 2 * w * (v @ c) + 2 * c @ np.cross(u, v)
    of_u = -2 * u * (v @ c) + 2 * v * (u @ c) + 2 * (u @ v) * c + 2 * w * np.cross(v, c)
    return np.concatenate([np.reshape(of_q, 1), of_u]), (w * w - u @ u) * c + 2 * u * (u @ c) + 2 * w * np.cross(c, u)


def where_a_residual_is_zero(w: Any, X: Any, y: Any) -> Any:
    return jnp.where(jnp.any(X @ w == y), 0.0, huber_gradient(w, X, y))


def where_a_residual_is_zero_of_numpy(w: Any, X: Any, y: Any) -> Any:
    g = np.asarray(X).T @ np.clip(X @ w - y, -1, 1)
    return g * 0 if np.any(X @ w - y == 0) else g


def where_nothing_is_turned(q: Any, v: Any, c: Any) -> Any:
    of_q, of_v = rotation_vjp(q, v, c)
    return (of_q if np.any(q[1:]) else of_q * np.array([1, 0, 0, 0])), of_v


def half_sum_of_squares(x: Any) -> Any:
    return (x @ x) / 2


def where_products_meet(x: Any) -> Any:
    return jnp.where(jnp.abs(x[0] * x[1] - x[2] * x[3]) < 1e-4, 1.001 * x, x)


def where_a_sum_is_large(x: Any) -> Any:
    return 1.001 * x if np.sum(x**3) > 700.0 and x[0] < 0 else x


def in_a_ramp(x: Any) -> Any:
    return 1.001 * x if np.allclose(np.diff(x), x[1] - x[0]) and x[1] > x[0] else x


WRONG: list[tuple[Callable[..., Any], tuple[Domain, ...], dict[str, Callable[..., Any]]]] = [
    (huber, (real("n"), held(real("m n")), held(real("m"))), {"grad": where_a_residual_is_zero}),
    (huber, (real("n"), held(real("m n")), held(real("m"))), {"grad": where_a_residual_is_zero_of_numpy}),
    (rotation, (real("4"), real("3")), {"vjp": where_nothing_is_turned}),
    (half_sum_of_squares, (real("4"),), {"grad": where_products_meet}),
    (half_sum_of_squares, (real("n"),), {"grad": where_a_sum_is_large}),
    (half_sum_of_squares, (punctured("4"),), {"grad": in_a_ramp}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("f", "domains", "claims"), [pytest.param(*case, id=next(iter(case[2].values())).__name__) for case in WRONG])
def test_a_rare_branch_is_found(f: Callable[..., Any], domains: tuple[Domain, ...], claims: dict[str, Any]) -> None:
    for seed in range(2):
        verdict = matcalc.check(f, *domains, seed=seed, **claims)
        assert verdict.status is Status.REFUTED
        assert "a branch of its own" in str(verdict)


def test_a_rare_branch_is_named() -> None:
    verdict = matcalc.check(half_sum_of_squares, punctured("4"), grad=in_a_ramp, seed=1)
    assert verdict.status is Status.REFUTED
    assert "a branch of its own at `return 1.001 * x if np.allclose(" in str(verdict)


@dataclass(frozen=True, eq=False)
class Code:
    """A gradient to be searched, of a function that does not matter."""

    gradient: Callable[..., Any]
    domains: dict[str, Domain]
    mapped: bool
    name: str = "code"
    strict: bool = False
    constants: tuple[float, ...] = ()

    @property
    def differentiated(self) -> tuple[str, ...]:
        return tuple(self.domains)

    def value(self, *inputs: Any) -> Any:
        return 0.0 * inputs[0].sum()

    def function(self, *inputs: Any) -> Linearization[Any]:
        return Linearization(self.value(*inputs), unclaimed, lambda u: tuple(u * g for g in self.gradient(*inputs)))


def points(gradient: Callable[..., Any], seed: int, *, mapped: bool, **domains: Domain) -> list[tuple[Any, ...]]:
    return [place.inputs for place in sought(Code(gradient, domains, mapped), {"n": 3, "m": 4}, seed)]


SEARCHED: dict[str, Callable[[Any, Any], Any]] = {  # of a matrix A and a vector x, given NumPy or JAX: a comparison that is true somewhere
    "a residual is zero": lambda A, x: (A @ x == 1.5).any(),
    "all of them are": lambda A, x: (A[:, 0] == 1.5).all(),
    "a product is large": lambda A, x: A[0, 0] * x[1] > 500.0,
    "a form is negative": lambda A, x: x @ x + A[1] @ x < -3.0,
    "two are close": lambda A, x: abs(A[0] @ x - A[1] @ x) < 1e-5,
    "a cube is between": lambda A, x: abs(x[0] ** 3 - 20.0) < 1e-3,
    "entries are equal": lambda A, x: (A[2] == x).any(),
}


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("what", SEARCHED)
def test_the_search_reaches(what: str, *, mapped: bool) -> None:
    def gradient(A: Any, x: Any) -> tuple[Any, ...]:
        if mapped:
            return jnp.where(SEARCHED[what](A, x), 0 * A, A), x
        return (0 * A if SEARCHED[what](A, x) else A), x

    for seed in range(3):
        found = points(gradient, seed, mapped=mapped, A=real("m n"), x=real("n"))
        assert any(SEARCHED[what](A, x) for A, x in found)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(-100, 100), st.integers(0, 2))
def test_a_threshold_of_any_size_is_crossed(seed: int, threshold: float, entry: int) -> None:
    def gradient(x: Any) -> tuple[Any, ...]:
        return (x if x[entry] > threshold else 2 * x,)

    drawn = [(x,) for x in np.random.default_rng(seed).standard_normal((200, 3))]
    sides = {bool(x[entry] > threshold) for (x,) in [*points(gradient, seed, mapped=False, x=real("n")), *drawn]}
    assert sides == {True, False}


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("off", [1e-2, 1e-3, 1e-4])
def test_a_threshold_that_is_a_little_off(off: float, *, mapped: bool) -> None:
    """The function has its own at zero: between the two the claim is wrong."""

    def margin(A: Any, x: Any) -> Any:
        return x @ x - A[0] @ A[0] + 1.0

    def gradient(A: Any, x: Any) -> tuple[Any, ...]:
        active = margin(A, x) > off
        return (jnp.where(active, A, 0 * A), x) if mapped else (A if active else 0 * A, x)

    for seed in range(3):
        found = points(gradient, seed, mapped=mapped, A=real("m n"), x=real("n"))
        assert any(0 < margin(A, x) <= off for A, x in found)
        assert any(margin(A, x) > off for A, x in found)


def test_what_keeps_a_denominator_from_zero_is_left_alone() -> None:
    def gradient(x: Any) -> tuple[Any, ...]:
        return (x / np.maximum(np.abs(x[0] - x[1]), 1e-12),)

    assert not any(abs(x[0] - x[1]) < 1e-12 for (x,) in points(gradient, 0, mapped=False, x=real("n")) if x[0] != x[1])


def test_a_given_array_is_not_left() -> None:
    def gradient(x: Any) -> tuple[Any, ...]:
        return (x if x[0] > 100 else 2 * x,)

    assert points(gradient, 0, mapped=False, x=near(np.ones(3))) == []


def test_code_without_comparisons_costs_no_search() -> None:
    calls = []

    def gradient(x: Any) -> tuple[Any, ...]:
        calls.append(x)
        return (x,)

    assert points(gradient, 0, mapped=False, x=real("n")) == []
    assert len(calls) == 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_right_code_that_branches_is_not_accused(seed: int) -> None:
    def median(x: Any) -> Any:
        return jnp.sort(x)[x.shape[0] // 2]

    def median_gradient(x: Any) -> Any:
        return 1.0 * (x == jnp.sort(x)[x.shape[0] // 2])

    def clipped(x: Any) -> Any:
        return np.sum(np.clip(x, -30.0, 40.0) ** 2)

    def clipped_gradient(x: Any) -> Any:
        return np.where((x > -30) & (x < 40), 2 * x, 0.0)

    domains = real("n"), held(real("m n")), held(real("m"))
    assert matcalc.check(huber, *domains, grad=huber_gradient, seed=seed).status is Status.VERIFIED
    assert matcalc.check(median, distinct("n"), grad=median_gradient, seed=seed).status is Status.VERIFIED
    assert matcalc.check(clipped, real("n"), grad=clipped_gradient, seed=seed).status is Status.VERIFIED
    assert matcalc.check(rotation, real("4"), real("3"), vjp=rotation_vjp, seed=seed).status is Status.VERIFIED
