"""A vjp that is right, but goes wrong when it is differentiated, is refuted; a right one is not, and nobody else's fault is its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from matcalc import second
from matcalc.array import (
    absolute,
    cholesky,
    diagonal,
    exp,
    inner,
    inv,
    is_array,
    kind,
    largest,
    log,
    maximum,
    sign,
    sym,
    total,
    trace,
    tril,
    where,
)
from matcalc.catalogue import installed
from matcalc.domain import orthonormal, positive_definite, real
from matcalc.rule import Linearization, Rule, rule, unclaimed
from matcalc.source import GILES
from matcalc.verdict import Evidence, Status
from matcalc.verify import quietly


def make(value: Any, vjp: Any, **domains: Any) -> Rule[Any, Any]:
    """A rule for a test; only its value and its vjp are looked at."""

    def f(x: Any) -> Linearization[Any]:
        return Linearization(value(x), lambda dx: dx, lambda y_bar: vjp(x, y_bar))

    def g(x: Any, y: Any) -> Linearization[Any]:
        return Linearization(value(x, y), lambda dx, dy: dx, lambda z_bar: vjp(x, y, z_bar))

    linearize: Callable[..., Any] = f if len(domains) == 1 else g
    linearize.__doc__ = "A function for a test. $$ y = f(x) $$"
    return rule(GILES, **domains)(linearize)


def stopped(x: Any) -> Any:
    """A constant in the eyes of autodiff."""
    return jax.lax.stop_gradient(x) if kind(x) == "JAX" else x


def found(subject: Any, seed: int = 1) -> dict[str, Evidence]:
    with quietly():
        return {e.oracle: e for e in second.order(subject, second.batches(subject, seed=seed))}


def lse(x: Any) -> Any:
    shift = largest(x)
    return shift + log(total(exp(x - shift)))


def squares(x: Any) -> Any:
    return total(x * x) / 2


BAD: dict[str, tuple[Rule[Any, Any], str]] = {
    "stopped gradient": (make(lambda x: total(x**3), lambda x, y: y * 3 * x * stopped(x), x=real("n")), "JAX"),
    "constant of the size": (make(lambda x: total(x**3), lambda x, y: y * 3 * stopped(x) ** 2, x=real("n")), "JAX"),
    "dropped term": (make(lse, lambda x, y: y * exp(x - stopped(lse(x))), x=real("n")), "JAX"),
    "relative error 1e-9": (
        make(lambda x: total(x**3), lambda x, y: y * 3 * x**2 * (1 + 1e-9 * (x - stopped(x))), x=real("n")),
        "JAX",
    ),
    "nan from where, at exact zeros only": (
        make(squares, lambda x, y: y * where(absolute(x) > 0, x * x / x, 0.0), x=real("n")),
        "JAX",
    ),
    "zero at zero, as i0 had it": (make(squares, lambda x, y: y * absolute(x) * sign(x), x=real("n")), "JAX"),
    "zero at zero, and the function's own too": (
        make(lambda x: total(maximum(x, -x) * absolute(x)) / 2, lambda x, y: y * absolute(x) * sign(x), x=real("n")),
        "finite differences",
    ),
    "not symmetric": (
        make(inner, lambda x, y, z_bar: (z_bar * y, z_bar * stopped(x)), x=real("n"), y=real("n")),
        "itself",
    ),
    "inverse held constant": (
        make(lambda K: 2 * total(log(diagonal(cholesky(K)))), lambda K, y: y * stopped(inv(K)), x=positive_definite("n")),
        "JAX",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_vjp_that_cannot_be_differentiated_is_refuted(name: str) -> None:
    """In one sentence, by the oracle that can know."""
    subject, oracle = BAD[name]
    evidence = found(subject)[oracle]
    assert evidence.status is Status.REFUTED
    assert evidence.margin > 1
    assert evidence.note
    assert "\n" not in evidence.note


GOOD: dict[str, Rule[Any, Any]] = {
    "cubes": make(lambda x: total(x**3), lambda x, y: y * 3 * x**2, x=real("n")),
    "linear": make(total, lambda x, y: y + 0 * x, x=real("n")),
    "logsumexp": make(lse, lambda x, y: y * exp(x - lse(x)), x=real("n")),
    "kink": make(lambda x: total(absolute(x)), lambda x, y: y * sign(x), x=real("n")),
    "kink of the gradient": make(lambda x: total(x * absolute(x)), lambda x, y: 2 * y * absolute(x), x=real("n")),
    "another gradient off the symmetric matrices": make(
        lambda K: trace(K @ K @ K),
        lambda K, y: 3 * y * (2 * tril(K @ K, -1) + tril(K @ K) - tril(K @ K, -1)),
        x=positive_definite("n"),
    ),
    "gradient in the ambient space of a sphere": make(lambda Q: total(Q**3), lambda Q, y: 3 * y * Q**2, x=orthonormal("n p")),
    "gradient in the tangent space of a sphere": make(
        lambda Q: total(Q**3), lambda Q, y: 3 * y * (Q**2 - Q @ sym(Q.mT @ Q**2)), x=orthonormal("n p")
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_vjp_that_can_be_differentiated_is_verified(name: str) -> None:
    """Beside every oracle; a kink is not held against it."""
    for seed in range(3):
        for evidence in found(GOOD[name], seed).values():
            assert evidence.status is Status.VERIFIED, (evidence.oracle, evidence.note)


@pytest.mark.parametrize("name", ["logdet", "inverse", "softmax", "eigh", "attention", "gp_log_marginal_likelihood"])
def test_catalogue_rules_can_be_differentiated_twice(name: str) -> None:
    """With differences and symmetry to witness."""
    evidence = found(installed()[name], seed=3)
    assert set(evidence) == {"JAX", "finite differences", "itself"}
    assert all(e.status is Status.VERIFIED and e.margin < 0.9 for e in evidence.values())


def test_where_jax_is_the_odd_one_out_the_rule_is_not_refuted() -> None:
    """JAX's second derivative of max(x, -x) |x| at 0 is 0; the rule and differences of its vjp say 2."""
    evidence = found(make(lambda x: total(maximum(x, -x) * absolute(x)), lambda x, y: 2 * y * x, x=real("n")))
    assert evidence["JAX"].status is Status.VERIFIED
    assert evidence["JAX"].skipped == 1
    assert evidence["finite differences"].skipped == 0


def test_what_jax_cannot_differentiate_is_inconclusive_with_the_reason() -> None:
    """A function that it cannot trace leaves differences and symmetry; a vjp that it cannot trace leaves nothing."""

    def on_numpy(x: Any) -> Any:
        return np.sum(np.asarray(x) ** 3) if kind(x) == "NumPy" else total(x**3)

    untraced = make(lambda x: float(on_numpy(x)) + 0 * total(x), lambda x, y: 3 * y * x**2, x=real("n"))
    assert all(e.status is Status.INCONCLUSIVE for e in found(untraced).values())
    vjp_only = make(lambda x: total(x**3), lambda x, y: 3 * y * x * np.asarray(x), x=real("n"))
    for evidence in found(vjp_only).values():
        assert evidence.status is Status.INCONCLUSIVE
        assert evidence.note.startswith("JAX cannot differentiate the vjp of f: JAX cannot trace it: TracerArrayConversionError")


def test_a_vjp_that_is_not_claimed_is_not_judged() -> None:
    """Neither is a rule without cases."""

    def f(x: Any) -> Linearization[Any]:
        """Squares $$ y = x^2 $$."""
        assert is_array(x)
        return Linearization(x * x, lambda dx: 2 * x * dx, unclaimed)

    subject = rule(GILES, x=real("n"))(f)
    assert second.order(subject, second.batches(subject)) == []
    assert second.order(GOOD["cubes"], []) == []


def test_cases_hold_a_special_point_and_follow_the_seed() -> None:
    """The last one is made of zero noise; the same seed gives the same cases, several shapes are as many batches."""
    one, same, other = (second.batches(GOOD["cubes"], seed=seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(one.inputs[0][-1], [0, 0, 0])
    assert np.array_equal(one.inputs[0], same.inputs[0])
    assert not np.array_equal(one.inputs[0], other.inputs[0])
    assert len(second.batches(GOOD["cubes"], shapes=2)) == 2
