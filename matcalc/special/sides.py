"""What the function's own values say at a special point: derivatives to both sides, with estimates of their errors."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from matcalc import property as properties
from matcalc.cases import EPSILON, Batch
from matcalc.oracle import differences
from matcalc.property import TRUST, Answers, norms, values_at
from matcalc.special.asking import first_probes
from matcalc.special.places import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from matcalc.rule import Subject

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

LEAST = 1e-9
"""Relative difference that a special point may show. Random points are held to less; but here differences are the only witness, and
know their own noise from a few values; and what is wrong at a special point alone is wrong by more."""
ON_THE_WAY = 1e-12
"""Error of a derivative along one input, relative to that along all of them: what is computed on the way to a gradient may be as large
as the other gradients (a softmax that is nearly one-hot, of rows that are nearly equal), and its rounding stays."""
MEET = 1e-6
"Relative distance up to which the derivatives to both sides are one."
HARDLY = 2.0**-10
"Part of a move that is left at a quarter of the step: less than of any smooth function that is not flat to the fifth order."
RIPPLES = 9
"Values in a row from which the rounding of the function is estimated."


@dataclass(frozen=True)
class Slopes:
    """Derivatives to one side along each tangent, f'(x; v) and -f'(x; -v), entry by entry, with estimates of their errors."""

    right: Floats
    right_error: Floats
    left: Floats
    left_error: Floats


@dataclass(frozen=True)
class Study:
    """Special points of one shape, what the function's own values say there, and what the rule says."""

    batch: Batch
    places: tuple[Place, ...]
    answers: Answers
    found: tuple[differences.Difference, ...]  # `kink` marks the cases (all their probes) where some two sides differ
    slopes: tuple[Slopes, ...]
    natural: tuple[Floats, ...]  # the size that the derivative has along several tangents: (cases, probes)
    level: tuple[Floats, ...]  # the size of the value: (cases, probes)
    whole: Batch  # with all tangents: those after the first probes only tell sizes


def studied(subject: Subject, batch: Batch, found: Sequence[Place], answers: Answers, *, probes: int) -> Study:
    """Differences to both sides along the first tangents of each case; the other tangents only show sizes."""
    h = differences.steps(batch.reach[:, :probes])
    along = [t[:, :probes] for t in batch.tangents]
    step = np.where(np.isfinite(batch.reach), np.minimum(batch.reach, 1.0), 1.0) * 2.0**-11
    ripple = step[:, :probes, None] / 128 * np.arange(1, RIPPLES + 1)
    result = _values(subject, batch, ((along, differences.offsets(h)), (batch.tangents, step[:, :, None]), (along, ripple)))
    moving = np.stack([np.any(t, axis=tuple(range(2, t.ndim))) for t in batch.tangents], axis=2)  # (cases, tangents, inputs)
    alike = np.all(moving[:, :probes, None] == moving[:, None], axis=3)  # which tangents move the same inputs as a probe
    differences_, slopes, natural, level = [], [], [], []
    for centre, near, wide, short, close in result:
        blur = np.maximum(properties.noise(np.concatenate([centre[:, None], near], axis=1), 2)[:, None], _ripple(close))
        blur = np.maximum(blur, _plateau(wide, centre))
        rise = norms(short[:, :, 0] - centre[:, None]) / step
        rise = np.where(np.isfinite(rise), rise, 0.0)
        along_all, rise = np.max(rise, axis=1, keepdims=True), np.max(np.where(alike, rise[:, None], 0.0), axis=2)
        found_here, sides = _derivative(wide, centre[:, None], h, blur, rise)
        differences_.append(replace(found_here, error=np.maximum(found_here.error, ON_THE_WAY * along_all)))
        slopes.append(sides)
        natural.append(rise)
        level.append(np.broadcast_to(norms(centre, 1)[:, None], (batch.count, probes)))
    kinked = np.any([d.kink for d in differences_], axis=(0, 2))
    marked = tuple(replace(d, kink=np.broadcast_to(kinked[:, None], d.kink.shape)) for d in differences_)
    kept = first_probes(batch, probes)
    return Study(kept, tuple(found), answers, marked, tuple(slopes), tuple(natural), tuple(level), batch)


def _values(subject: Subject, batch: Batch, moves: Sequence[tuple[Sequence[Floats], Floats]]) -> list[list[Floats]]:
    """Each array of the value at the points themselves, at their neighbours, and moved by offsets along tangents.

    The axes are case, then neighbour, or tangent and offset, then the array's own.
    """
    count, around = batch.count, batch.neighbours[0].shape[1]
    shapes = [(count,), (count, around), *(offsets.shape for _, offsets in moves)]
    ends = np.cumsum([math.prod(shape) for shape in shapes])

    def split(array: Floats) -> list[Floats]:
        pieces = np.split(array, ends[:-1])
        return [piece.reshape(*shape, *array.shape[1:]) for piece, shape in zip(pieces, shapes, strict=True)]

    points = [np.empty((ends[-1], *x.shape[1:]), dtype=x.dtype) for x in batch.inputs]
    here, near, *moved = zip(*map(split, points), strict=True)
    for target, source in zip((*here, *near), (*batch.inputs, *batch.neighbours), strict=True):
        target[...] = source
    for target, (tangents, offsets) in zip(moved, moves, strict=True):
        differences.moved_along(batch.inputs, batch.free, tangents, offsets, target)
    return [split(array) for array in values_at(subject, points)]


def _ripple(values: Floats) -> Floats:
    """How coarsely the function is rounded along each tangent, from values (case, probe, place, ...) in a row: (case, probe).

    Fourth differences of a smooth function over steps of 4e-6 are smaller than its last digit, so what is seen in them is rounding
    (Moré and Wild, "Estimating computational noise", 2011). It may be coarser than the size of the value suggests: log det(I + XᵀX)
    for a tiny X is rounded like 1.
    """
    fourth = np.diff(values, n=4, axis=2)
    found = norms(np.sqrt(np.mean(np.square(fourth), axis=2) / 70.0))
    return np.where(np.isfinite(found), found, 0.0)


def _plateau(values: Floats, centre: Floats) -> Floats:
    """The same, seen from a value that moves at one step and hardly at a smaller one: it is rounded to the size of that move.

    Differences at small steps agree by luck there. A function that is constant on a piece has moved by more before it stops. One
    that does not move at the smallest steps may have been rounded like its value, or like 1.
    """
    middle = np.expand_dims(centre, (1, 2, 3, 4))
    pairs = values.reshape(*values.shape[:2], len(differences.STARTS), differences.ROWS, 2, *centre.shape[1:])
    moves = np.abs(pairs - middle)
    coarse, fine = moves[:, :, :, :-1], moves[:, :, :, 1:]
    most = 2.0**-30 * np.maximum(1.0, np.abs(middle))
    last = np.where((fine <= HARDLY * coarse) & (coarse <= most), coarse, 0.0)
    still = np.all(moves[:, :, :, -2:] == 0, axis=tuple(range(2, moves.ndim)))
    level = EPSILON * np.maximum(1.0, norms(centre, 1))[:, None]
    return np.where(still, level, norms(np.max(last, axis=(2, 3, 4), initial=0.0)))


def _derivative(values: Floats, centre: Floats, h: Floats, noise: Floats, rise: Floats) -> tuple[differences.Difference, Slopes]:
    """The derivative and those to both sides, which are worked out only where it is not plain that they meet."""
    central = _central(values, centre, h, noise)
    rough = ~_plain(values, centre, h, central, rise)
    value, error, kink = central.value.copy(), central.error.copy(), np.zeros_like(central.kink)
    everywhere = np.broadcast_to(error.reshape(*error.shape, *(1,) * (value.ndim - 2)), value.shape)
    sides = Slopes(value.copy(), everywhere.copy(), value.copy(), everywhere.copy())
    if rough.any():
        some = differences.Difference(central.value[rough], central.error[rough], central.plain[rough], central.kink[rough])
        there = _one_sided(values[rough], centre[rough], h[rough], noise[rough])
        merged = _merged(some, there, rise[rough])
        value[rough], error[rough], kink[rough] = merged.value, merged.error, merged.kink
        for name, array in vars(sides).items():
            array[rough] = getattr(there, name)
    return differences.Difference(value, error, central.plain, kink), sides


def _plain(values: Floats, centre: Floats, h: Floats, central: differences.Difference, rise: Floats) -> Bools:
    """At which cases it is plain that there is a derivative: central differences are sharp, and both sides meet.

    The distance between the quotients to both sides is taken at the two smallest steps; its part in proportion to the step is
    curvature.
    """
    tail = values.shape[h.ndim - 1 :]
    last = values.reshape(*h.shape, 2, *tail)[:, :, :, -2:]
    bend = last[:, :, :, :, 0] + last[:, :, :, :, 1] - 2 * np.expand_dims(centre, (2, 3))
    apart = bend / (2 * h[..., -2:]).reshape(*bend.shape[:4], *(1,) * len(tail))
    left = norms((differences.FACTOR * apart[:, :, :, 1] - apart[:, :, :, 0]) / (differences.FACTOR - 1), 3)
    size = np.maximum(norms(central.value), rise)
    return np.all((np.max(left, axis=2) <= MEET / 10 * size) & (central.error <= LEAST / TRUST * size), axis=1)


def _central(values: Floats, centre: Floats, h: Floats, noise: Floats) -> differences.Difference:
    """Central differences; of an array without entries, the one without entries."""
    if 0 not in values.shape:
        return differences.extrapolate(values, centre, h, noise)
    still = np.zeros(h.shape[:2])
    return differences.Difference(values[:, :, 0], still, values, still > 0)


def _one_sided(values: Floats, centre: Floats, h: Floats, noise: Floats) -> Slopes:
    """Quotients to each side, extrapolated to step zero in powers of the step (Richardson), for every entry by itself.

    As in `differences`, the entry of the table with the smallest estimate of its error is taken, and two tables must agree.
    """
    lead = h.ndim - 2
    tail = values.shape[lead + 1 :]
    pairs = values.reshape(*h.shape, 2, *tail)
    steps_ = h.reshape(*h.shape, *(1,) * len(tail))
    middle = np.expand_dims(centre, (lead, lead + 1))
    wide_noise = noise.reshape(*noise.shape, 1, 1, *(1,) * len(tail))
    found = []
    for side, sign in ((0, 1.0), (1, -1.0)):
        there = np.take(pairs, side, lead + 2)
        quotient = sign * (there - middle) / steps_
        rounding = (EPSILON * np.maximum(np.abs(there), np.abs(middle)) + 2 * wide_noise) / steps_
        (a, a_error), (b, b_error) = (_richardson(np.take(quotient, t, lead), np.take(rounding, t, lead), lead) for t in (0, 1))
        found += [np.where(a_error <= b_error, a, b), np.maximum(np.maximum(a_error, b_error), np.abs(a - b))]
    right, right_error, left, left_error = (np.where(np.isnan(x), np.inf, x) for x in found)
    return Slopes(right, right_error, left, left_error)


def _richardson(column: Floats, rounding: Floats, lead: int) -> tuple[Floats, Floats]:
    """For every entry the member of the table with the smallest estimate of its error, and that estimate."""
    members, estimates = [], []
    power = 1.0
    while column.shape[lead] > 1:
        power *= differences.FACTOR
        coarse = np.take(column, range(column.shape[lead] - 1), lead)
        fine = np.take(column, range(1, column.shape[lead]), lead)
        refined = (power * fine - coarse) / (power - 1)
        rounding = np.take(rounding, range(1, rounding.shape[lead]), lead)
        members.append(refined)
        estimates.append(np.maximum(np.abs(refined - fine), np.abs(refined - coarse)) + rounding)
        column = refined
    all_members, all_estimates = np.concatenate(members, axis=lead), np.concatenate(estimates, axis=lead)
    all_estimates = np.where(np.isfinite(all_estimates), all_estimates, np.inf)
    best = np.argmin(all_estimates, axis=lead, keepdims=True)
    value, error = (np.take_along_axis(x, best, axis=lead).squeeze(lead) for x in (all_members, all_estimates))
    return np.where(np.isfinite(error), value, 0.0), error


def _merged(central: differences.Difference, sides: Slopes, rise: Floats) -> differences.Difference:
    """The derivative, by central differences or by the mean of both sides, whichever claims the smaller error.

    Central differences of an even function vanish whether it has a derivative or not, so they count only if the two sides meet
    there. Where the two sides lie apart, there is a kink.
    """
    apart = np.abs(sides.right - sides.left)
    blur = sides.right_error + sides.left_error
    size = np.maximum(norms(central.value), rise)
    entry = size.reshape(*size.shape, *(1,) * (apart.ndim - 2))
    with np.errstate(invalid="ignore"):
        kink = np.any((apart > TRUST * blur + MEET * entry).reshape(*size.shape, -1), axis=-1)
        mean, mean_error = (sides.right + sides.left) / 2, norms(blur) / 2 + norms(apart) / 2
        gap = norms(mean - central.value)
        met = (mean_error <= 1e-2 * size) & (gap <= TRUST * (mean_error + central.error))
        trusted = np.where(met, central.error, np.inf)
    better = trusted <= mean_error
    value = np.where(better.reshape(*better.shape, *(1,) * (apart.ndim - 2)), central.value, mean)
    error = np.fmin(trusted, mean_error)
    return differences.Difference(value, np.where(kink | np.isnan(error), np.inf, error), central.plain, kink)
