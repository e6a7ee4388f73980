"""Wrong rules as people write them are refuted, every one; those that a machine makes are in test_wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, wraps
from typing import Any

import numpy as np
import pytest

from matcalc.array import inv, tril
from matcalc.catalogue import AnyRule, installed
from matcalc.rule import Linearization
from matcalc.verify import Observation, observe, quietly
from matcalc.wrong import FEW, judged, under


@lru_cache(maxsize=1)
def catalogue() -> Any:
    return installed()


@lru_cache
def seen(name: str) -> list[Observation]:
    return observe(catalogue()[name], seed=7, profile=FEW)


def refuted(rule: AnyRule, vjp: Callable[..., Callable[..., Any]]) -> bool:
    """Whether a rule with another vjp (a function of the inputs that returns one) is refuted."""

    @wraps(rule.function)
    def function(*inputs: Any) -> Linearization[Any]:
        return replace(rule.function(*inputs), vjp=vjp(*inputs))

    with quietly():
        return judged(under(rule, function), seen(rule.name)) is not None


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
    assert refuted(catalogue()[name], wrong)


def test_the_hand_written_wrong_rules_are_wrong_for_the_reason_they_name() -> None:
    """The helper behind the wrong Cholesky rule, with its diagonal halved, is right: the refutation is of the mistake alone."""
    assert not refuted(catalogue()["cholesky"], lambda K: lambda L_bar: _cholesky_vjp(K, L_bar, 0.5))
