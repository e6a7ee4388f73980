"""What loses digits needlessly in float32 is told, what overflows is refuted, and what is stable passes without a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from matcalc import precision
from matcalc.array import erf, erfc, exp, largest, like, log, mean, total
from matcalc.catalogue import installed
from matcalc.domain import held, one_hot, real
from matcalc.rule import Linearization, Rule, rule, unclaimed
from matcalc.source import GILES
from matcalc.verdict import Digits, Evidence, Status


def make(linearize: Callable[..., Linearization[Any]], **domains: Any) -> Rule[Any, Any]:
    linearize.__doc__ = "A function for a test. $$ y = f(x) $$"
    return rule(GILES, **domains)(linearize)


def logsumexp(*, shifted: bool) -> Rule[Any, Any]:
    def f(x: Any) -> Linearization[Any]:
        weights = exp(x - largest(x)) if shifted else exp(x)
        value = log(total(weights)) + (largest(x) if shifted else 0)
        softmax = weights / total(weights)
        return Linearization(value, lambda dx: total(softmax * dx), lambda y_bar: y_bar * softmax)

    return make(f, x=real("n"))


def cross_entropy(*, shifted: bool) -> Rule[Any, Any]:
    def f(x: Any, y: Any) -> Linearization[Any]:
        weights = exp(x - largest(x))
        softmax = weights / total(weights)
        logs = x - largest(x) - log(total(weights)) if shifted else log(softmax)
        return Linearization(-total(y * logs), lambda dx: total((softmax - y) * dx), lambda l_bar: l_bar * (softmax - y))

    return make(f, x=real("n"), y=held(one_hot("n")))


def variance(*, centred: bool) -> Rule[Any, Any]:
    def f(x: Any) -> Linearization[Any]:
        deviation = x - mean(x)
        value = mean(deviation**2) if centred else mean(x**2) - mean(x) ** 2
        return Linearization(value, lambda dx: 2 * mean(deviation * dx), lambda v_bar: 2 * v_bar * deviation / x.shape[0])

    return make(f, x=real("n>=2"))


def gelu(*, stable: bool) -> Rule[Any, Any]:
    def f(x: Any) -> Linearization[Any]:
        cumulated = erfc(-x / 2**0.5) / 2 if stable else (1 + erf(x / 2**0.5)) / 2
        slope = cumulated + x * exp(-(x**2) / 2) / (2 * np.pi) ** 0.5
        return Linearization(x * cumulated, lambda dx: slope * dx, lambda y_bar: slope * y_bar)

    return make(f, x=real("n"))


def cubes(error: float = 0.0) -> Rule[Any, Any]:
    """Its derivative is found by differences with a step that float32 cannot take, if an error is asked for."""

    def f(x: Any) -> Linearization[Any]:
        h = like(error, x)
        slope = ((x + h) ** 3 - (x - h) ** 3) / (2 * h) if error else 3 * x**2
        return Linearization(x**3, lambda dx: slope * dx, lambda y_bar: slope * y_bar)

    return make(f, x=real("n"))


def found(subject: Any, seed: int = 1, **options: Any) -> tuple[Evidence, tuple[Digits, ...]]:
    (evidence,), digits = precision.digits(subject, seed=seed, **options)
    return evidence, digits


@pytest.mark.parametrize("stable", [logsumexp(shifted=True), variance(centred=True), gelu(stable=True), cubes()])
def test_a_stable_algorithm_passes_without_a_word(stable: Rule[Any, Any]) -> None:
    """At every place and with many seeds."""
    for seed in range(20):
        evidence, (digits,) = found(stable, seed, autodiff_too=False)
        assert (evidence.status, evidence.note) == (Status.VERIFIED, "")
        assert evidence.cases > 0
        assert digits.dtype == "float32"
        assert digits.margin < precision.FLAGGED
        assert 3 < digits.rule[1] <= digits.rule[0] <= 7.3


def test_a_saturated_loss_is_not_refuted() -> None:
    """Softmax minus label cancels where the label is all but certain, in everybody's code."""
    for seed in range(20):
        assert found(cross_entropy(shifted=True), seed, autodiff_too=False)[0].status is Status.VERIFIED


OVERFLOWS = r"in float32, the value of f at entries (of size 100|near -?10+) is nan or inf, or cannot be computed, though"


@pytest.mark.parametrize("wrong", [logsumexp(shifted=False), cross_entropy(shifted=False)])
def test_needless_overflow_is_refuted(wrong: Rule[Any, Any]) -> None:
    """Where the answer is an ordinary number, and its condition number small."""
    import re

    evidence, _ = found(wrong, autodiff_too=False)
    assert evidence.status is Status.REFUTED
    assert evidence.margin == np.inf
    assert re.match(OVERFLOWS, evidence.note)


@pytest.mark.parametrize(("poor", "place"), [(variance(centred=False), "near -?1000"), (gelu(stable=False), "near -4")])
def test_a_needless_loss_is_told(poor: Rule[Any, Any], place: str) -> None:
    """It does not refute: the formula is right."""
    import re

    evidence, _ = found(poor, autodiff_too=False)
    assert evidence.status is Status.VERIFIED
    assert re.match(rf"in float32, the \w.* of f at entries {place} has relative error \S+, \S+ times what", evidence.note), evidence.note


def test_what_is_wrong_in_float32_at_ordinary_entries_is_refuted() -> None:
    """Differences with a step of 1e-9 are good to seven digits in double precision and have none in float32."""
    evidence, _ = found(cubes(1e-9), autodiff_too=False)
    assert evidence.status is Status.REFUTED
    assert evidence.margin > 1


def test_digits_of_the_rule_stand_beside_those_of_autodiff() -> None:
    """On the same cases, in float32 and in bfloat16 where JAX has it."""
    evidence, (single, brief) = found(installed()["softmax"], bfloat16=True)
    assert evidence.status is Status.VERIFIED
    assert (single.dtype, brief.dtype) == ("float32", "bfloat16")
    assert single.autodiff is not None
    assert brief.autodiff is not None
    assert 5 < single.rule[0] < 7.3
    assert 5 < single.autodiff[0] < 7.3
    assert 1 < brief.rule[0] < 2.5
    assert 1 < brief.autodiff[0] < 2.5


def test_linear_algebra_has_no_bfloat16() -> None:
    """The evidence says so."""
    evidence, digits = found(installed()["logdet"], bfloat16=True)
    assert [d.dtype for d in digits] == ["float32"]
    assert evidence.note.startswith("logdet cannot be computed in bfloat16: ")
    assert evidence.status is Status.VERIFIED


def test_a_rule_that_raises_is_no_fault_of_the_checker() -> None:
    """In float32 only, it is refuted; always, it cannot be judged."""

    def double(x: Any) -> Linearization[Any]:
        if x.dtype != np.float64:
            raise TypeError("double precision only")
        return Linearization(x**2, lambda dx: 2 * x * dx, lambda y_bar: 2 * x * y_bar)

    def nothing(x: Any) -> Linearization[Any]:
        raise TypeError(f"never at {x.shape}")

    assert found(make(double, x=real("n")))[0].status is Status.REFUTED
    evidence, digits = found(make(nothing, x=real("n")))
    assert (evidence.status, digits) == (Status.INCONCLUSIVE, ())
    assert evidence.note == "nothing cannot be computed in float32: never at (3,)"


def test_without_a_vjp_the_digits_are_those_of_the_jvp() -> None:
    """There is nothing of autodiff's to compare them with."""

    def f(x: Any) -> Linearization[Any]:
        return Linearization(x**2, lambda dx: 2 * x * dx, unclaimed)

    evidence, (digits,) = found(make(f, x=real("n")))
    assert evidence.status is Status.VERIFIED
    assert digits.autodiff is None
    assert digits.rule[1] > 6


@pytest.mark.parametrize("name", ["logdet", "layer_norm", "softmax_cross_entropy", "eigh", "gelu", "gaussian_log_density"])
def test_well_known_rules_keep_their_digits(name: str) -> None:
    """No seed refutes them, none finds a needless loss."""
    for seed in range(10):
        evidence, (digits,) = found(installed()[name], seed, autodiff_too=False)
        assert (evidence.status, evidence.note) == (Status.VERIFIED, "")
        assert digits.rule[0] > 5
