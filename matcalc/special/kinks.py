"""Where the two sides differ, any valid subgradient may be claimed: a value between the slopes, and the same choice everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from matcalc import property as properties
from matcalc.cases import Batch, tangential
from matcalc.property import Comparison, norms, values_at
from matcalc.special.asking import SIZING, assembled
from matcalc.special.sides import Study
from matcalc.special.weighing import as_pairings, compared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from matcalc.rule import Subject

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Judged = list[tuple[str, Comparison]]

DIRECTIONS = 4
"Tangents along which a kink is looked at: ones, the point itself, and two random ones."
PAIRS = 64
"Pairs of tangents by which a kink is found to be neither convex nor concave."
NEARBY = 64
"Points around a kink at which derivatives are sampled."
FEW = 16
"Different derivatives around a kink up to which those pairs tell whether the function is convex or concave there."
PIECES, PIECE = 1024, 2.0**-7
"Short lines around a kink with more, a norm's, and their length beside the distance: of many kinks a line crosses one at a time."


def between_the_sides(subject: Subject, study: Study, rng: np.random.Generator) -> Judged:
    """The distance of the rule's derivative from the interval that the two one-sided derivatives span, entry by entry.

    A subgradient of a convex or concave function lies in it along every tangent, and so does any at a single kink. Where many
    kinks of both signs meet (rectifiers that are added and subtracted) it need not: there derivatives are sampled at points
    nearby. A rule without a jvp is judged by the inner product of its vjp with the tangent.
    """
    answers = study.answers
    errors = [norms(s.right_error) + norms(s.left_error) for s in study.slopes]
    judged: Judged = []
    for k in range(len(answers.jvp)) if answers.jvp else (None,):
        right, left = (_seen(study, [getattr(s, side) for s in study.slopes], k) for side in ("right", "left"))
        blur, natural, level = (x[k] if k is not None else as_pairings(study, x) for x in (errors, study.natural, study.level))
        mine = answers.jvp[k] if k is not None else properties.pairings(answers, study.batch, study.batch.cotangents)[0][..., None]
        low, high = np.minimum(right, left), np.maximum(right, left)
        outside = np.where(np.isnan(mine), np.nan, np.maximum(np.maximum(low - mine, mine - high), 0.0))
        c = compared(outside, np.maximum(norms(low), norms(high)), blur, natural, level)
        for case, probe in zip(*np.nonzero(c.usable & (c.margin > 1) & np.isfinite(c.error)), strict=True):
            outside_ = c.gap[case, probe] > 0.1 * c.tolerance[case, probe]
            if np.all(~outside_ | _among_samples(subject, study, (int(case), int(probe), k), mine[case, probe], rng)):
                c.error[case, probe] = 0.0
        which = "jvp" if answers.jvp else "vjp"
        judged.append((f"the {which} of {subject.name} is not between the derivatives to both sides of a kink", c))
    return judged


def _seen(study: Study, arrays: Sequence[Floats], k: int | None) -> Floats:
    """One array of the value, or the inner product of all with the cotangents."""
    if k is not None:
        return arrays[k]
    pairs = zip(study.batch.cotangents, arrays, strict=True)
    return np.sum([np.sum(c * x, axis=tuple(range(2, x.ndim))) for c, x in pairs], axis=0)[..., None]


def _among_samples(subject: Subject, study: Study, at: tuple[int, int, int | None], mine: Floats, rng: np.random.Generator) -> Bools:
    """In which entries the function bends both ways at a kink, and the rule's derivative is among those of points nearby.

    It does not bend both ways if only two derivatives are found nearby, or if it is convex in the tangent,
    f'(x; a) + f'(x; b) >= f'(x; a + b) for all a and b, or concave; where more than a few derivatives are found it must bend that
    way along short lines nearby, too. The sampled range is widened by its own width to each side, since where many kinks meet no
    sample has them all on one side.
    """
    case, probe, k = at
    batch = study.batch
    speed = min(1.0, float(batch.reach[case, probe])) / 8

    def tangents(count: int) -> list[Floats]:
        found = []
        for i, t in zip(batch.free, batch.tangents, strict=True):
            size = float(np.sqrt(np.mean(t[case, probe] ** 2))) if t[case, probe].size else 0.0
            noise = size * rng.standard_normal((1, count, *t.shape[2:]))
            found.append(tangential(subject.domains[batch.names[i]], batch.inputs[i][case : case + 1], noise)[0])
        return found

    def moved_by(points: Sequence[Floats], along: Sequence[Floats], step: float) -> list[Floats]:
        count = len(along[0])
        still = [np.broadcast_to(x, (count, *x.shape[1:])) for x in points]
        return [x + step * along[batch.free.index(i)] if i in batch.free else x for i, x in enumerate(still)]

    def slope(points: Sequence[Floats], along: Sequence[Floats], step: float) -> Floats:
        there, here = values_at(subject, moved_by(points, along, step)), values_at(subject, points)
        rates = [(x - y) / step for x, y in zip(there, here, strict=True)]
        if k is not None:
            return rates[k]
        weights = [c[case, probe] for c in batch.cotangents]
        return np.sum([np.sum(w * r, axis=tuple(range(1, r.ndim))) for w, r in zip(weights, rates, strict=True)], axis=0)[:, None]

    def alone() -> list[Floats]:
        """Tangents that move a single entry of all inputs each: there a kink of one sign is not hidden by those of the other."""
        shapes = [t.shape[2:] for t in batch.tangents]
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
        units = np.split(np.eye(ends[-1])[rng.permutation(ends[-1])[:PAIRS]], ends[:-1], axis=1)
        found = []
        for i, unit, shape in zip(batch.free, units, shapes, strict=True):
            moved = unit.reshape(1, len(unit), *shape)
            found.append(tangential(subject.domains[batch.names[i]], batch.inputs[i][case : case + 1], moved)[0])
        return found

    single = alone()
    a = [np.concatenate(x) for x in zip(tangents(PAIRS), single, strict=True)]
    b = [np.concatenate([x, -y / 2]) for x, y in zip(tangents(PAIRS), single, strict=True)]
    both = [x + y for x, y in zip(a, b, strict=True)]
    here, near = [x[None] for x in batch.point(case)], speed * 2.0**-14
    to_a, to_b, to_both = (slope(here, along, speed * 2.0**-21) for along in (a, b, both))
    convex, concave = _bent(to_a + to_b - to_both, (to_a, to_b, to_both))
    around = moved_by(here, tangents(NEARBY), near)
    same = [np.broadcast_to(t[case, probe], (NEARBY, *t.shape[2:])) for t in batch.tangents]
    sampled = np.sort(slope(around, same, speed * 2.0**-28), axis=0)
    small = 1e-4 * float(np.max(np.abs(sampled), initial=0.0))
    different = 1 + np.sum(np.diff(sampled, axis=0) > small, axis=0)
    room = sampled[-1] - sampled[0] + small
    among = (sampled[0] - room <= mine) & (mine <= sampled[-1] + room)
    excused = among & (different > 2) & ~((convex | concave) & (different <= FEW))
    if not np.any(excused & (convex | concave)):
        return excused
    starts, along, step = moved_by(here, tangents(PIECES), near), tangents(PIECES), near * PIECE
    first, then = slope(starts, along, step), slope(moved_by(starts, along, step), along, step)
    convex_nearby, concave_nearby = _bent(then - first, (first, then))
    return excused & ~(convex & convex_nearby) & ~(concave & concave_nearby)


def _bent(bends: Floats, slopes: Sequence[Floats]) -> tuple[Bools, Bools]:
    """Which entries never bend downwards, and which never upwards, but for a rounding of the slopes that they are differences of."""
    slack = 1e-5 * float(np.max(np.abs(slopes), initial=0.0))
    return np.all(bends >= -slack, axis=0), np.all(bends <= slack, axis=0)


def more_directions(subject: Subject, batch: Batch, rng: np.random.Generator) -> Batch:
    """The same points along the direction of ones, along themselves, and along two more: where ties bend, and where they do not."""
    noises = []
    for i in batch.free:
        x = batch.inputs[i]
        radial = np.where(np.any(x, axis=tuple(range(1, x.ndim)), keepdims=True), x, rng.standard_normal(x.shape))
        size = norms(radial, 1) / max(1.0, np.sqrt(x[0].size))
        radial = radial / np.where(size > 0, size, 1.0).reshape(-1, *(1,) * (x.ndim - 1))
        noises.append(np.stack([np.ones_like(x), radial, *rng.standard_normal((DIRECTIONS - 2 + SIZING, *x.shape))], axis=1))
    return assembled(subject, batch.sizes, batch.inputs, tuple(noises), [c.shape[2:] for c in batch.cotangents], rng)
