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
"At least so many cases must have a finite difference that is good enough to tell whether the complex step is right."


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


def trustworthy(found: Sequence[Floats], differences: Sequence[Difference]) -> bool:
    """Whether the complex step agrees with every finite difference that is good enough to tell, and there are a few of those."""
    good = 0
    for derivative, difference in zip(found, differences, strict=True):
        axes = tuple(range(2, difference.value.ndim))
        apart = np.sqrt(np.sum((derivative[:, 0] - difference.value) ** 2, axis=axes))
        size = np.sqrt(np.sum(difference.value**2, axis=axes))
        telling = np.isfinite(difference.error) & (difference.error < 1e-5 * size)
        if np.any(telling & ~(apart <= 10 * difference.error + 1e-9 * size)):
            return False
        good += int(np.sum(telling))
    return good >= WITNESSES


def gradient(function: Callable[..., Any], inputs: Sequence[Floats], which: int) -> Floats:
    """The gradient of a scalar function with respect to one input, an entry at a time.

    Raises TypeError if the function is not analytic code: if it gives a real number for complex inputs.
    """
    x = inputs[which]
    flat = np.zeros(x.size)
    for k in range(x.size):
        moved = x.astype(complex)
        moved.reshape(-1)[k] += 1j * STEP
        value: Any = np.asarray(function(*inputs[:which], moved, *inputs[which + 1 :]))
        if not np.iscomplexobj(value):
            raise TypeError("a Hessian can be checked alone only for a function that takes complex numbers; give grad= too")
        flat[k] = np.imag(value) / STEP
    return flat.reshape(x.shape)
