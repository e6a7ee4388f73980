"""The verifier tells right rules from wrong ones, and says what it cannot tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from matcalc.array import Array, exp, inner, step, total
from matcalc.domain import distinct, held, interval, invertible, positive_definite, real
from matcalc.rule import Linearization, Rule, rule
from matcalc.source import GILES
from matcalc.verdict import Status, Verdict, from_json, to_json
from matcalc.verify import verify


def make(linearize: Callable[..., Linearization[Any]], **domains: Any) -> Rule[Any, Any]:
    linearize.__doc__ = "A function for a test. $$ y = f(x) $$"
    linearize.__name__ = "f"
    return rule(GILES, **domains)(linearize)


def cubes(jvp: Any, vjp: Any, value: Any = lambda x: total(x**3)) -> Rule[Any, Any]:
    """The sum of cubes with the given jvp(x, dx) and vjp(x, y_bar)."""
    return make(lambda x: Linearization(value(x), lambda dx: jvp(x, dx), lambda y_bar: vjp(x, y_bar)), x=real("n"))


def right_jvp(x: Any, dx: Any) -> Any:
    return inner(3 * x**2, dx)


def right_vjp(x: Any, y_bar: Any) -> Any:
    return y_bar * 3 * x**2


def test_a_right_rule_is_proved() -> None:
    """With evidence of every property beside every oracle, and no random case left out."""
    verdict = verify(cubes(right_jvp, right_vjp), seed=1)
    assert verdict.status is Status.PROVED
    assert verdict.cases >= 200
    found = {(e.property, e.oracle) for e in verdict.evidence}
    assert found >= {
        ("value", "JAX"), ("jvp", "JAX forward"), ("vjp", "JAX reverse"), ("jvp", "finite differences"), ("vjp", "finite differences"),
        ("adjoint", "itself"), ("linear", "itself"), ("agreement", "JAX"), ("dtype", "itself"), ("empty", "itself"), ("batch", "JAX"),
        ("jvp", "prime field"), ("vjp", "prime field"), ("special", "finite differences"), ("layout", "itself"),
        ("second", "JAX"), ("float32", "double precision"),
    }  # fmt: skip
    assert all(e.status.good for e in verdict.evidence)
    assert all(e.skipped == 0 for e in verdict.evidence if e.property in {"value", "jvp", "vjp", "adjoint", "linear", "agreement"})
    assert 0 < max(e.bound for e in verdict.evidence) < 1e-15
    assert {"zero", "size 0", "size 1", "Fortran order"} <= {line.kind for line in verdict.census}


def refusing(X: Any) -> Any:
    return np.linalg.inv(X)


def giving_up(X: Any) -> Any:
    zeros = np.all(X == 0, axis=(-2, -1), keepdims=True)
    return np.linalg.inv(X + zeros * np.eye(X.shape[-1])) if np.isfinite(X).all() else np.full_like(X, np.nan)


@pytest.mark.parametrize(("invert", "member"), [(refusing, "zeros"), (giving_up, "nan")])
def test_a_member_of_a_batch_must_leave_the_others_alone(invert: Any, member: str) -> None:
    """One at a time both are right; NumPy refuses a whole stack of matrices for one that is singular."""

    def inverse_of(X: Any) -> Any:
        if isinstance(X, np.ndarray):
            return np.linalg.inv(X)
        return jax.pure_callback(invert, jax.ShapeDtypeStruct(X.shape, X.dtype), X, vmap_method="expand_dims")

    def linearize(X: Any) -> Any:
        Y = inverse_of(X)
        return Linearization(Y, lambda dX: -Y @ dX @ Y, lambda Y_bar: -Y.mT @ Y_bar @ Y.mT)

    verdict = verify(make(linearize, X=invertible("n")), seed=1, profile="quick")
    assert verdict.status is Status.REFUTED
    assert f"one member {'is' if member == 'zeros' else 'of a batch that is'} {member}" in verdict.reason


def mutating_vjp(x: Any, y_bar: Any) -> Any:
    g = right_vjp(x, y_bar)
    x *= 2
    return g


class Counter:
    calls = 0

    def vjp(self, x: Any, y_bar: Any) -> Any:
        self.calls += 1
        return right_vjp(x, y_bar) * (1 + 1e-6 * self.calls)


BAD: dict[str, tuple[Rule[Any, Any], str]] = {
    "sign": (cubes(right_jvp, lambda x, y: -right_vjp(x, y)), "the vjp of f is not what JAX reverse gives: relative error 2.0e"),
    "wrong jvp": (cubes(lambda x, dx: 2 * right_jvp(x, dx), right_vjp), "of f is not what JAX forward gives"),
    "relative error 1e-10": (cubes(right_jvp, lambda x, y: (1 + 1e-10) * right_vjp(x, y)), "relative error 1.0e-10"),
    "absolute value": (cubes(right_jvp, lambda x, y: abs(y) * 3 * x**2), "of f is not"),
    "raises": (cubes(right_jvp, lambda x, y: x[99] * y), r"f.vjp raises IndexError at n = 3: index 99 is out of bounds"),
    "value raises": (cubes(right_jvp, right_vjp, lambda x: x.nonsense), "f raises AttributeError at n = 3: .* no attribute 'nonsense'"),
    "wrong shape": (
        cubes(right_jvp, lambda x, y: right_vjp(x, y)[:, None]),
        r"f: the gradient with respect to x has shape \(3, 1\) at n = 3, but must have shape \(3,\)",
    ),
    "too many": (cubes(right_jvp, lambda x, y: (x, x)), "f: its vjp has 2 arrays at n = 3, but must have 1"),
    "nan": (cubes(right_jvp, lambda x, y: np.nan * right_vjp(x, y)), "it gives nan or inf where the oracle gives a number"),
    "mutates its input": (
        cubes(right_jvp, mutating_vjp),
        "f changes its input x at n = 3; work on a copy|another answer when it is asked the same question again",
    ),
    "accumulates": (cubes(right_jvp, Counter().vjp), "gives another answer when it is asked the same question again|is not linear"),
    "double precision out": (
        cubes(right_jvp, lambda x, y: y * 3 * x.astype(np.float64) ** 2),
        "the vjp of f has dtype float64 for inputs of dtype float32",
    ),
    "returns text": (cubes(right_jvp, lambda x, y: "gradient"), "f.vjp must return arrays, but returned a str"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_rule_is_refuted_in_one_sentence(name: str) -> None:
    """What is wrong with it is the verdict's reason; verify never raises for it."""
    bad, sentence = BAD[name]
    verdict = verify(bad, seed=1, profile="quick")
    assert verdict.status is Status.REFUTED
    assert "\n" not in verdict.reason
    import re

    assert re.search(sentence, verdict.reason), verdict.reason


def test_a_counterexample_is_small() -> None:
    """A refuted rule comes with a case that Hypothesis has shrunk, the worst entry, and the oracles' votes."""
    verdict = verify(cubes(right_jvp, lambda x, y: -right_vjp(x, y)), seed=1, profile="quick")
    example = verdict.counterexample
    assert example is not None
    assert example.sizes == {"n": 1}
    assert example.worst is not None
    assert example.worst.ratio == pytest.approx(-1, rel=1e-6)
    assert example.votes


def test_a_kink_is_not_held_against_a_rule() -> None:
    """Where there is no derivative no oracle is believed, so any subgradient passes; beside the kink nothing is excused."""

    def relu(x: Array) -> Linearization[Array]:
        on = step(x > 0, x)
        return Linearization(x * on, lambda dx: on * dx, lambda y_bar: on * y_bar)

    assert verify(make(relu, x=real("n")), seed=3).status is Status.VERIFIED


def test_ill_conditioned_points_raise_no_alarm() -> None:
    """The tolerance follows the measured condition number: an inverse at condition number 1e4 is verified."""

    def inverse(K: Array) -> Linearization[Array]:
        Y = np.linalg.inv(K) if isinstance(K, np.ndarray) else jax.numpy.linalg.inv(K)
        return Linearization(Y, lambda dK: -Y @ dK @ Y, lambda Y_bar: -Y.mT @ Y_bar @ Y.mT)

    verdict = verify(make(inverse, K=positive_definite("n")), seed=3)
    assert verdict.status is Status.VERIFIED
    assert max(verdict.conditions) > 1e3


def test_a_function_that_jax_cannot_trace_is_verified_by_differences() -> None:
    """JAX's absence is told, and the verdict rests on finite differences."""

    def opaque(x: Array) -> Linearization[Array]:
        numbers = [float(v) for v in x]
        y = np.asarray(sum(np.exp(v) for v in numbers), dtype=x.dtype)
        g = np.asarray([np.exp(v) for v in numbers], dtype=x.dtype)
        return Linearization(y, lambda dx: np.sum(g * dx), lambda y_bar: y_bar * g)

    verdict = verify(make(opaque, x=real("n>=1")), seed=3, profile="quick")
    assert verdict.status is Status.VERIFIED
    assert "JAX reverse" not in {e.oracle for e in verdict.evidence}


def test_domains_without_a_point_are_vacuous() -> None:
    """Nothing to check is no success."""
    bad = make(lambda x, y: Linearization(x, lambda dx: dx, lambda z: z), x=distinct("n>=9"), y=held(interval(0, 1, "n")))
    verdict = verify(bad, seed=3)
    assert verdict.status is Status.VACUOUS
    assert "its domains admit no size that was tried" in verdict.reason


def test_the_seed_decides() -> None:
    """The same seed gives the same evidence, another seed other cases."""
    sums = [sum(e.worst_error for e in verify(cubes(right_jvp, right_vjp), seed=s, profile="quick").evidence) for s in (5, 5, 6)]
    assert sums[0] == sums[1]
    assert sums[0] != sums[2]


def test_the_users_precision_setting_stays() -> None:
    """Verifying in double precision does not switch it on for the user."""
    before = jax.config.jax_enable_x64
    verify(make(lambda x: Linearization(exp(x), lambda dx: exp(x) * dx, lambda y: exp(x) * y), x=real("n")), profile="quick")
    assert jax.config.jax_enable_x64 is before
    assert jax.numpy.zeros(1).dtype == (np.float64 if before else np.float32)


def test_an_unknown_profile_is_refused() -> None:
    """With the ones there are."""
    with pytest.raises(ValueError, match="profile must be one of quick, default, thorough, but 'hasty' came"):
        verify(cubes(right_jvp, right_vjp), profile="hasty")


def test_a_verdict_survives_json() -> None:
    """What is written can be read back."""
    from matcalc.verdict import Run

    verdict: Verdict = verify(cubes(right_jvp, lambda x, y: -right_vjp(x, y)), seed=1, profile="quick")
    run = Run((verdict,), (), 1, "quick", "matcalc verify", "2026-01-01T00:00:00", 1.0, {}, "a machine")
    import json

    assert from_json(json.loads(json.dumps(to_json(run)))) == run
