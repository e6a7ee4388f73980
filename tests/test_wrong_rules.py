"""Wrong rules are refuted, every one.

The first half breaks catalogue rules by wrapping their linearization: what the oracles say of the function is found once for
each rule and serves all of its wrong versions. The second half spells out wrong rules as people write them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from matcalc.array import absolute, inv, step, tril
from matcalc.cases import Profile
from matcalc.catalogue import AnyRule, installed
from matcalc.property import FaultError
from matcalc.rule import Linearization, Rule
from matcalc.verdict import Status
from matcalc.verify import Observation, judge, observe, quietly

FEW = Profile(cases=20, probes=2, perturbations=2)
RULES = [
    "matmul",
    "hadamard",
    "kronecker",
    "quadratic_form",
    "trace_axbxt",
    "logdet",
    "det",
    "inverse",
    "linear_solve",
    "inverse_quadratic",
    "cholesky",
    "matrix_exponential",
    "softmax",
    "softmax_cross_entropy",
    "layer_norm",
    "attention",
    "rbf_kernel",
    "gaussian_log_density",
    "two_layer_bce",
    "logsumexp",
    "lasso",
    "frobenius_norm",
]


@lru_cache(maxsize=1)
def catalogue() -> Any:
    return installed()


@lru_cache
def seen(name: str) -> list[Observation]:
    return observe(catalogue()[name], seed=7, profile=FEW)


def parts(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple) else (value,)


def rewrap(like: Any, arrays: tuple[Any, ...]) -> Any:
    if not isinstance(like, tuple):
        return arrays[0]
    return type(like)(*arrays) if hasattr(like, "_fields") else arrays


def on_result(change: Callable[[Any], Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A map whose every array is changed after it was right."""

    def wrap(linear: Callable[..., Any]) -> Callable[..., Any]:
        def wrong(*arguments: Any) -> Any:
            right = linear(*arguments)
            return rewrap(right, tuple(change(x) for x in parts(right)))

        return wrong

    return wrap


def on_argument(change: Callable[[Any], Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A map that is right for something else than it was asked."""

    def wrap(linear: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: linear(*(change(x) for x in arguments))

    return wrap


def first_only(change: Callable[[Any], Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A map whose first array only is changed."""

    def wrap(linear: Callable[..., Any]) -> Callable[..., Any]:
        def wrong(*arguments: Any) -> Any:
            right = linear(*arguments)
            arrays = parts(right)
            return rewrap(right, (change(arrays[0]), *arrays[1:]))

        return wrong

    return wrap


def without_one_entry(x: Any) -> Any:
    flat = np.array(x).ravel()
    flat[-1:] = 0
    return flat.reshape(np.shape(x))


def wrong_if_not_square(x: Any) -> Any:
    return 2 * x if x.ndim == 2 and x.shape[0] != x.shape[1] else x


def wrong_if_longer_than_one(x: Any) -> Any:
    return x * (1 + 0.1 * (x.size > 1))


def transposed(x: Any) -> Any:
    return x.mT if x.ndim == 2 and x.shape[0] == x.shape[1] else x


MISTAKES: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "sign": on_result(lambda x: -x),
    "factor 2": on_result(lambda x: 2 * x),
    "factor 1/2 in the first": first_only(lambda x: x / 2),
    "absolute value of what comes": on_argument(absolute),
    "negative part of what comes dropped": on_argument(lambda x: x * step(x > 0, x)),
    "one entry zeroed": on_result(without_one_entry),
    "relative error 1e-6": on_result(lambda x: x * (1 + 1e-6)),
    "relative error 1e-6 in the first": first_only(lambda x: x * (1 + 1e-6)),
    "relative error 1e-9": on_result(lambda x: x * (1 + 1e-9)),
    "single precision inside": on_result(lambda x: np.asarray(x, dtype=np.float32).astype(x.dtype)),
    "constant added": on_result(lambda x: x + 1e-3),
    "not a number": on_result(lambda x: x * np.nan),
}


def broken(rule: AnyRule, which: str, mistake: Callable[[Callable[..., Any]], Callable[..., Any]]) -> AnyRule:
    """The rule with its jvp or its vjp wrapped."""

    def function(*inputs: Any) -> Linearization[Any]:
        at = rule.function(*inputs)
        return replace(at, **{which: mistake(getattr(at, which))})

    return changed(rule, function)


def changed(rule: AnyRule, function: Callable[..., Linearization[Any]]) -> AnyRule:
    """Another function under the rule's name, domains and statement."""
    wrong = object.__new__(Rule)
    wrong.__dict__.update({**rule.__dict__, "function": function})
    function.__name__, function.__doc__, function.__module__ = rule.name, rule.function.__doc__, rule.function.__module__
    return wrong


def status(rule: AnyRule, observations: list[Observation]) -> Status:
    try:
        with quietly():
            return judge(rule, observations, elsewhere=False).status
    except FaultError:
        return Status.REFUTED


@pytest.mark.parametrize("name", RULES)
def test_every_mistake_in_a_right_rule_is_refuted(name: str) -> None:
    """Wrapping jvp or vjp in a mistake turns the verdict from verified to refuted."""
    rule, observations = catalogue()[name], seen(name)
    assert status(rule, observations) is Status.VERIFIED
    survivors = [
        f"{which}: {mistake}"
        for mistake, wrap in MISTAKES.items()
        for which in ("jvp", "vjp")
        if status(broken(rule, which, wrap), observations) is not Status.REFUTED
    ]
    assert survivors == []


SQUARE = ["inverse", "det", "inverse_quadratic_general", "matrix_exponential", "matrix_cube"]
NOT_SQUARE = ["matmul", "kronecker", "rbf_kernel", "linear_solve", "attention", "two_layer_bce"]


@pytest.mark.parametrize("name", SQUARE)
def test_a_forgotten_transpose_is_refuted(name: str) -> None:
    """A gradient that is right but transposed is refuted where the input is square."""
    rule = catalogue()[name]
    assert status(broken(rule, "vjp", on_result(transposed)), seen(name)) is Status.REFUTED


@pytest.mark.parametrize("name", NOT_SQUARE)
def test_a_mistake_only_for_matrices_that_are_not_square_is_refuted(name: str) -> None:
    """A gradient that is right for square inputs alone is refuted."""
    rule = catalogue()[name]
    assert status(broken(rule, "vjp", on_result(wrong_if_not_square)), seen(name)) is Status.REFUTED


@pytest.mark.parametrize("name", RULES)
def test_a_mistake_only_beyond_size_one_is_refuted(name: str) -> None:
    """A gradient that is right for inputs of size one alone is refuted."""
    rule = catalogue()[name]
    assert status(broken(rule, "vjp", on_result(wrong_if_longer_than_one)), seen(name)) is Status.REFUTED


# --- wrong rules as people write them ------------------------------------------------------------------------------------------

Wrong = Callable[..., Callable[..., Any]]  # the inputs to the wrong vjp

WRITTEN: dict[str, tuple[str, Wrong]] = {
    "matmul with its factors the wrong way round": ("matmul", lambda X, W: lambda Z: ((W @ Z.mT).mT, (Z.mT @ X).mT * 0 + X.mT @ X @ W)),
    "inverse with the jvp in the place of the vjp": ("inverse", lambda X: lambda Y: -inv(X) @ Y @ inv(X)),
    "quadratic form as 2 B x": ("quadratic_form", lambda x, B: lambda y: (2 * y * (B @ x), y * x[:, None] * x[None, :])),
    "softmax as p (1 - p)": ("softmax", lambda z: lambda p: p * _softmax(z) * (1 - _softmax(z))),
    "softmax cross-entropy without its target": (
        "softmax_cross_entropy",
        lambda z, y: lambda c: (c * _softmax(z), -c * np.log(_softmax(z))),
    ),
    "cholesky with its diagonal not halved": ("cholesky", lambda K: lambda L: _cholesky_vjp(K, L, 1.0)),
    "frobenius norm as that of its square": ("frobenius_norm", lambda X: lambda y: 2 * y * X),
    "det without its transpose": ("det", lambda X: lambda y: y * np.linalg.det(X) * np.linalg.inv(X)),
    "logdet without an inverse": ("logdet", lambda K: lambda y: y * K),
    "expm as exp(A) times the cotangent": ("matrix_exponential", lambda A: lambda Y: _expm(A).mT @ Y),
    "trace_axbxt with one of its two paths": (
        "trace_axbxt",
        lambda A, X, B: lambda y: (y * (X @ B @ X.mT).mT, y * (A @ X @ B), y * (X.mT @ A @ X).mT),
    ),
}


def _softmax(z: Any) -> Any:
    e = np.exp(z - z.max())
    return e / e.sum()


def _expm(A: Any) -> Any:
    from scipy.linalg import expm

    return expm(A)


def _cholesky_vjp(K: Any, L_bar: Any, diagonal_weight: float) -> Any:
    L = np.linalg.cholesky(K)
    P = tril(L.mT @ L_bar)
    P = P + (diagonal_weight - 1) * np.diag(np.diag(P))
    S = inv(L).mT @ P @ inv(L)
    return (S + S.mT) / 2


@pytest.mark.parametrize("mistake", WRITTEN)
def test_a_wrong_rule_as_people_write_it_is_refuted(mistake: str) -> None:
    """Each known mistake in a hand-written gradient is refuted, and the right diagonal weight of Cholesky is not."""
    name, wrong = WRITTEN[mistake]
    rule = catalogue()[name]

    def function(*inputs: Any) -> Linearization[Any]:
        return replace(rule.function(*inputs), vjp=wrong(*inputs))

    assert status(changed(rule, function), seen(name)) is Status.REFUTED


def test_the_hand_written_wrong_rules_are_wrong_for_the_reason_they_name() -> None:
    """The helper behind the wrong Cholesky rule, with its diagonal halved, is right: the refutation is of the mistake alone."""
    rule = catalogue()["cholesky"]

    def function(K: Any) -> Linearization[Any]:
        return replace(rule.function(K), vjp=lambda L_bar: _cholesky_vjp(K, L_bar, 0.5))

    assert status(changed(rule, function), seen("cholesky")) is Status.VERIFIED
