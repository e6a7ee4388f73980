"""Finite differences with an error estimate.

Central differences along a tangent at steps that shrink by a constant factor, extrapolated to step zero (Richardson), the best
entry of the table chosen by its own error estimate (Ridders). An estimate from a first step outside the disc where the function
is analytic lies by many orders of magnitude, so the steps start well within the distance to the edge of the domain, and two
tables with unrelated starts must agree. Everything works on many cases at once.

Sources: Ridders, "Accurate computation of F'(x) and F'(x)F''(x)", Advances in Engineering Software 4(2), 1982.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

EPSILON = float(np.finfo(np.float64).eps)
ROWS = 8
FACTOR = 4.0
CONTRADICTED = 100.0
"Units of rounding by which a difference at a smaller step may be off without a contradiction."
STARTS = (0.2, 0.07)  # of the distance to the edge, or of the point's own size


@dataclass(frozen=True)
class Difference:
    """Directional derivatives, with what they claim about their own error. The first axes are those of the steps."""

    value: Floats
    error: Floats  # in the Euclidean norm of each value
    plain: Floats  # the central differences themselves, (..., rows of both tables, *value shape)
    kink: NDArray[np.bool_]  # whether the two one-sided derivatives differ, so that there is no derivative


def steps(reach: Floats) -> Floats:
    """The steps to use for each distance to the edge: shape (*reach, tables, rows), powers of two but for the start."""
    start = np.minimum(np.asarray(reach), 1.0)
    exact = 2.0 ** np.floor(np.log2(start[..., None] * np.array(STARTS)))
    return exact[..., None] * FACTOR ** -np.arange(ROWS)


def offsets(h: Floats) -> Floats:
    """The multiples of the tangent at which the function is wanted: (*reach, tables * rows * 2), plus before minus."""
    return np.stack([h, -h], axis=-1).reshape(*h.shape[:-2], -1)


def moved_along(
    inputs: Sequence[Floats], free: Sequence[int], tangents: Sequence[Floats], offsets: Floats, out: Sequence[Floats] | None = None
) -> Sequence[Floats]:
    """Inputs (cases, *shape), the free ones moved by offsets (cases, probes, places) along tangents (cases, probes, *shape).

    They are written into `out`, an array for each input, where that is given.
    """
    points = out or [np.empty((*offsets.shape, *x.shape[1:]), dtype=x.dtype) for x in inputs]
    for i, x in enumerate(inputs):
        here, there = x[:, None, None], points[i]
        if i in free:
            np.multiply(offsets.reshape(*offsets.shape, *(1,) * (x.ndim - 1)), tangents[free.index(i)][:, :, None], out=there)
            np.add(there, here, out=there)
        else:
            there[...] = here
    return points


def extrapolate(values: Floats, centre: Floats, h: Floats, noise: Floats) -> Difference:
    """Derivatives from the function's values at `offsets(h)`: values has shape (*reach, tables * rows * 2, *value shape).

    `centre` is the function's value at offset zero, broadcast to (*reach, *value shape). `noise`, broadcast to the shape of the
    reach, is how far the function moves when its inputs are rounded otherwise: a table whose entries agree better than that
    agrees by luck. At a kink the central difference converges to the mean of two slopes, which is no derivative: the error is
    infinite there.
    """
    lead = h.ndim - 2
    tail = values.shape[lead + 1 :]
    pairs = values.reshape(*h.shape, 2, *tail)
    spread = h.reshape(*h.shape, *(1,) * len(tail))
    central = (np.take(pairs, 0, lead + 2) - np.take(pairs, 1, lead + 2)) / (2 * spread)
    size = np.max(norms(pairs, lead + 3), axis=-1)  # of the function, at each step
    rounding = (EPSILON * size + 2 * noise[..., None, None]) / h  # of each central difference
    tables = [_ridders(np.take(central, t, lead), np.take(rounding, t, lead), lead) for t in range(len(STARTS))]
    (first, first_error), (second, second_error) = tables
    better = first_error <= second_error
    value = np.where(better.reshape(*better.shape, *(1,) * len(tail)), first, second)
    error = np.maximum(np.maximum(first_error, second_error), norms(first - second, lead))
    kink = _kinked(pairs, centre, h, rounding, lead)
    return Difference(value, np.where(kink, np.inf, error), central.reshape(*h.shape[:lead], len(STARTS) * ROWS, *tail), kink)


def _kinked(pairs: Floats, centre: Floats, h: Floats, rounding: Floats, lead: int) -> NDArray[np.bool_]:
    """Whether the slopes to both sides stay apart as the step shrinks: apart in proportion to the step is mere curvature."""
    closest = pairs[(*(slice(None),) * (lead + 1), slice(-2, None))]
    bend = np.take(closest, 0, lead + 2) - 2 * np.expand_dims(centre, (lead, lead + 1)) + np.take(closest, 1, lead + 2)
    apart = norms(bend, lead + 2) / (2 * h[..., -2:])
    last, before = apart[..., 1], apart[..., 0]
    return np.all((last > 0.5 * before) & (last > 100 * rounding[..., -1]), axis=-1)


def norms(x: Floats, lead: int) -> Floats:
    """Euclidean norms over all axes after the first `lead`."""
    rows = x.reshape(*x.shape[:lead], math.prod(x.shape[lead:]))
    return np.sqrt(np.einsum("...i,...i", rows, rows))  # without an array of squares


def _ridders(column: Floats, rounding: Floats, lead: int) -> tuple[Floats, Floats]:
    """The entry of the extrapolation table with the smallest estimate of its error, and that estimate.

    Large steps may agree on a slope that the function has from afar only (log-sum-exp where all entries are equal and large). So no
    difference at a smaller step may be farther off than those that an entry is made of, but for rounding.
    """
    plain, blur = column, CONTRADICTED * rounding
    every: tuple[Any, ...] = (slice(None),) * lead
    rows = np.arange(plain.shape[lead])
    best, best_error = np.array(np.take(column, -1, lead)), np.full(rounding.shape[:lead], np.inf)
    last = np.full(rounding.shape[:lead], rows[-1])
    power = 1.0
    while column.shape[lead] > 1:
        power *= FACTOR**2
        coarse, fine = column[(*every, slice(-1))], column[(*every, slice(1, None))]
        refined = fine - coarse
        rounding = rounding[..., 1:]
        estimate = power / (power - 1) * norms(refined, lead + 1) + rounding  # to the coarse one, from which it is farther
        estimate = np.where(np.isfinite(estimate), estimate, np.inf)
        refined /= power - 1
        refined += fine
        for row in range(refined.shape[lead]):
            improved = estimate[..., row] < best_error
            best[improved] = refined[(*every, row)][improved]
            best_error[improved] = estimate[..., row][improved]
            last[improved] = row + len(rows) - refined.shape[lead]
        column = refined
    off = norms(plain - np.expand_dims(best, lead), lead + 1)
    made_of = np.take_along_axis(off, last[..., None], axis=-1)
    beyond = np.where(rows > last[..., None], off - made_of - blur, 0.0)
    return best, np.fmax(best_error, np.max(beyond, axis=-1))
