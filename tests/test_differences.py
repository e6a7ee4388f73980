"""Finite differences know their own error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matcalc.oracle.differences import extrapolate, offsets, steps


def derivative(f: Callable[[Any], Any], x: float, reach: float = np.inf) -> tuple[float, float, bool]:
    """Extrapolated derivative of a function of one number, its claimed error, and whether a kink was seen."""
    h = steps(np.array([reach]))
    values = np.array([[f(x + t) for t in offsets(h)[0]]])
    noise = np.max(np.abs([f(x * (1 + 2e-15 * k)) - f(x) for k in (-1.0, 0.7, 1.0)])) / 8
    found = extrapolate(values, np.array([f(x)]), h, np.array([noise]))
    return float(found.value[0]), float(found.error[0]), bool(found.kink[0])


SMOOTH: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], float, float]] = {
    "exp": (np.exp, np.exp, 0.3, np.inf),
    "log near its pole": (np.log, lambda x: 1 / x, 1e-3, 1e-3),
    "inverse near its pole": (lambda x: 1 / x, lambda x: -1 / x**2, 1e-6, 1e-6),
    "sine of a large number": (lambda x: np.sin(40 * x), lambda x: 40 * np.cos(40 * x), 1.0, np.inf),
    "a square": (lambda x: x * x, lambda x: 2 * x, 3.0, np.inf),
    "a constant": (lambda x: 0 * x + 7.0, lambda x: 0 * x, 1.0, np.inf),
    "log near its zero": (np.log, lambda x: 1 / x, 1.0, 1.0),
    "absolute value close to its kink": (np.abs, np.sign, 1e-3, np.inf),
    "a tiny function": (lambda x: 1e-150 * np.exp(x), lambda x: 1e-150 * np.exp(x), 0.5, np.inf),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_the_error_is_within_ten_times_its_estimate(name: str) -> None:
    """Where the function is smooth the derivative is right to many digits, and the estimate does not lie."""
    f, df, x, reach = SMOOTH[name]
    value, error, kink = derivative(f, x, reach)
    assert not kink
    assert abs(value - df(x)) <= 10 * error
    assert error <= 1e-7 * max(abs(df(x)), abs(f(x)))


@settings(max_examples=200, deadline=None)
@given(st.floats(-3, 3), st.floats(0.1, 4), st.floats(-2, 2))
def test_the_estimate_holds_for_many_functions(x: float, rate: float, shift: float) -> None:
    """The same, for a family of functions."""

    def f(t: Any) -> Any:
        return np.exp(-rate * t) + np.sin(shift * t) + np.tanh(t)

    exact = -rate * np.exp(-rate * x) + shift * np.cos(shift * x) + 1 / np.cosh(x) ** 2
    value, error, _ = derivative(f, x)
    assert abs(value - exact) <= 10 * error + 100 * 2.3e-16 * (rate * np.exp(-rate * x) + abs(shift) + 1)


@pytest.mark.parametrize(
    ("f", "x"), [(np.abs, 0.0), (lambda x: np.maximum(x, 0), 0.0), (lambda x: x + np.abs(x - 1), 1.0)], ids=["abs", "relu", "shifted"]
)
def test_a_kink_is_seen(f: Callable[[Any], Any], x: float) -> None:
    """At a kink the mean of two slopes is not passed off as a derivative."""
    _, error, kink = derivative(f, x)
    assert kink
    assert error == np.inf


def test_an_estimate_from_outside_the_disc_would_lie() -> None:
    """The cap by the distance to the edge is needed: without it 1/x near 0 comes out wrong or without a digit."""
    _, capped, _ = derivative(lambda x: 1 / x, 1e-6, 1e-6)
    value, error, _ = derivative(lambda x: 1 / x, 1e-6)
    assert capped < 1e-6 * 1e12
    assert error > 1e-6 * 1e12 or abs(value + 1e12) > 10 * error
