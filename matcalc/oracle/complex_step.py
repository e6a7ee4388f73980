"""The complex step: the derivative along a tangent v as Im f(x + i h v) / h, with h so small that nothing is cancelled or cut off.

Exact to rounding, whatever the condition of f, but only for code that is analytic in its inputs: the absolute value, a
conjugate, or a routine for Hermitian matrices gives something else. So what it says counts only for functions at which it has
been seen to agree with finite differences.

Source: Squire and Trapp, "Using Complex Variables to Estimate Derivatives of Real Functions", SIAM Review 40(1), 1998.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from matcalc.oracle.differences import Difference

    Floats = NDArray[np.float64]

STEP = 2.0**-500
WITNESSES = 4
"At least so many cases must have a finite difference that is sharp enough to show the complex step right."
TELLING = 1e-5
"Relative error of a finite difference that is good enough to show it wrong."
SHARP = 1e-9
"""Relative error of one that is good enough to show it right.

A term that the complex step does not see (log |det| of a complex matrix is real) may be hidden by larger ones where the condition is
bad: in the log density of a Gaussian at a condition number of 1e8 it is a relative 1e-5, less than differences can tell there.
"""


class NotAnalyticError(TypeError):
    """A function does not take complex numbers, or does not return any."""


def along(
    run: Callable[[Sequence[Any]], tuple[Any, ...]], free: Sequence[int], places: Sequence[Floats], tangents: Sequence[Floats]
) -> tuple[Floats, ...] | None:
    """The derivatives along each tangent at each place: (cases, places, probes, *value shape), one array for each of the value.

    `run` gives the function's values at points stacked along the first axis. `places` has the axes case and place before each
    input's own, `tangents` the axes case and probe. None if the function does not take complex numbers, or does not return any.
    """
    cases, count = places[0].shape[:2]
    probes = tangents[0].shape[1]
    points: list[Any] = [np.repeat(x.reshape(-1, *x.shape[2:]), probes, axis=0) for x in places]
    for i, tangent in zip(free, tangents, strict=True):
        along_each = np.broadcast_to(tangent[:, None], (cases, count, *tangent.shape[1:])).reshape(points[i].shape)
        points[i] = points[i] + 1j * STEP * along_each
    try:
        with warnings.catch_warnings(action="ignore"):  # NumPy warns where an imaginary part is thrown away: then there is no answer
            values = run(points)
    except Exception:  # noqa: BLE001  (whatever a function does with numbers it was not written for)
        return None
    if not all(np.iscomplexobj(v) for v in values):
        return None
    return tuple((np.imag(v) / STEP).reshape(cases, count, probes, *v.shape[1:]) for v in values)


def accuracy(found: Sequence[Floats], differences: Sequence[Difference]) -> float:
    """The relative error up to which the complex step has been seen to be right; infinite where it is wrong or nobody can tell.

    It agrees with every finite difference that is good enough to tell, and a few of those are sharp. What is found by iteration has
    converged when its value has: its derivative may lag by some digits, more than rounding explains (`numpy.linalg.lstsq`).
    """
    seen: list[Floats] = []
    for derivative, difference in zip(found, differences, strict=True):
        axes = tuple(range(2, difference.value.ndim))
        apart = np.sqrt(np.sum((derivative[:, 0] - difference.value) ** 2, axis=axes))
        size = np.sqrt(np.sum(difference.value**2, axis=axes))
        telling = np.isfinite(difference.error) & (difference.error < TELLING * size)
        if np.any(telling & ~(apart <= 10 * difference.error + SHARP * size)):
            return np.inf
        sharp = telling & (difference.error < SHARP * size)
        seen.append(np.maximum(apart, difference.error)[sharp] / size[sharp])
    best = np.sort(np.concatenate(seen))
    return float(best[WITNESSES - 1]) if len(best) >= WITNESSES else np.inf


def gradient(function: Callable[..., Any], inputs: Sequence[Floats], which: int) -> Floats:
    """The gradient of a scalar function with respect to one input, an entry at a time.

    Raises NotAnalyticError if the function is not analytic code: if it raises for complex inputs, or gives a real number.
    """
    x = inputs[which]
    flat = np.zeros(x.size)
    for k in range(x.size):
        moved = x.astype(complex)
        moved.reshape(-1)[k] += 1j * STEP
        try:
            value: Any = np.asarray(function(*inputs[:which], moved, *inputs[which + 1 :]))
        except Exception as error:
            raise NotAnalyticError("it raises for complex numbers") from error
        if not np.iscomplexobj(value):
            raise NotAnalyticError("it gives a real number for complex ones")
        flat[k] = np.imag(value) / STEP
    return flat.reshape(x.shape)
