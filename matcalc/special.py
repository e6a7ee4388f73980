"""Special points, on purpose: where derivatives are wrong most often and where no random point ever falls.

Ties, zeros, repeated eigenvalues, matrices of less than full rank, both signs of a determinant, large condition numbers and
scales: the domains own these points (`Domain.special`), and here a rule is asked at all of them. Nothing is compared with
autodiff, which is often nan or wrong at exactly these points; the truth is the function's own values, by differences to both
sides with an error estimate, and the adjoint identity. Where the two sides differ there is a kink, and the rule may give any
valid subgradient. What was looked at, and how often some oracle could tell, is the rule's census.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

import numpy as np

from matcalc import property as properties
from matcalc.array import parts
from matcalc.cases import (
    EPSILON,
    PERTURBATION,
    PROFILES,
    Batch,
    admitted,
    assemble,
    empty_groups,
    generator,
    groups,
    nearby,
    symbols,
    tangential,
)
from matcalc.oracle import autodiff, differences
from matcalc.property import (
    ROUNDING,
    SAFETY,
    TRUST,
    Answers,
    Compared,
    Comparison,
    FaultError,
    Measure,
    Yardstick,
    first_line,
    norms,
    values_at,
)
from matcalc.verdict import Coverage, Evidence, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from matcalc.domain import Domain, Sizes
    from matcalc.rule import Subject

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Arrays = tuple[Floats, ...]
    Judged = list[tuple[str, Comparison]]

TOO_WEAK = 1e-3
"Relative tolerance beyond which a special point counts as not judged: three digits tell a wrong formula from a right one."
GROSS = 1e-2
"Relative difference up to which nobody's code but a rule is blamed where the condition number may be anything."
LEAST = 1e-9
"""Relative difference that a special point may show. Random points are held to less; but here differences are the only witness, and
know their own noise from a few values; and what is wrong at a special point alone is wrong by more."""
VANISHING = 1e-9
"Tolerance relative to the value within which a derivative that vanishes is judged."
SIZING = 4
"Extra tangents that only show how large the derivative is at a point, so that one which is small by chance is not taken for it."
SIZING_ALONE = 2
"Such tangents for each input alone: beside the derivative of A⁻¹b along A, that along b is nothing at all where A is near singular."
ON_THE_WAY = 1e-12
"""Error of a derivative along one input, relative to that along all of them: what is computed on the way to a gradient may be as large
as the other gradients (a softmax that is nearly one-hot, of rows that are nearly equal), and its rounding stays."""
MEET = 1e-6
"Relative distance up to which the derivatives to both sides are one."
DIRECTIONS = 4
"Tangents along which a kink is looked at: ones, the point itself, and two random ones."
SCALES = (1e-6, 1e6)
EXTREMES = (1e-150, 1e150)
ROOM = 1e290
"Derivatives of about this size may overflow on the way; nothing is demanded of them."
RIPPLES = 9
"Values in a row from which the rounding of the function is estimated."
PAIRS = 64
"Pairs of tangents by which a kink is found to be neither convex nor concave."
CLOSER = (2.0**-12, 2.0**-24)
"How much smaller steps are taken where differences speak against what is claimed, to see whether they still do."
NEARBY = 64
"Points around a kink at which derivatives are sampled."
FEW = 16
"Different derivatives around a kink up to which it can be told whether the function is convex or concave there."
NAMED = 8
"How many places a sentence lists."
PLAIN = "nothing special"
CONSTANTS = "constants of the code"
MOST_CONSTANTS = 4
"Numbers of the code that inputs are made of; the first ones, which are those of the claim."
ILL_CONDITIONED = ("condition 1e", "scale")
"Kinds at which a library may refuse to factor a matrix."
BACKWARDS = "reversed in memory"
LAYOUTS = ("Fortran order", "strided", BACKWARDS)
POISON = "NaN in the entries that are not read"


@dataclass(frozen=True)
class Place:
    """One special point of a rule: which input is special (all of them where no name stands), how, and all inputs."""

    input: str
    kind: str
    sizes: Sizes
    inputs: Arrays

    @property
    def label(self) -> str:
        """In words: `K: repeated eigenvalues`."""
        return f"{self.input}: {self.kind}" if self.input else self.kind

    def __str__(self) -> str:
        """The same with its sizes: `K: repeated eigenvalues; n = 3`."""
        return self.label + "".join(f"{', ' if k else '; '}{name} = {size}" for k, (name, size) in enumerate(self.sizes.items()))


# --- which points there are ----------------------------------------------------------------------------------------------------


def places(subject: Subject, *, seed: int = 0) -> list[Place]:
    """Every special point of the rule's domains, at a few sizes. Which kinds there are does not depend on the seed."""
    return [place for sizes in _shapes(subject) for place in _distinct(_places(subject, sizes, seed))]


def _shapes(subject: Subject) -> list[Sizes]:
    """Sizes from 3 up and from the top down, so that no matrix is square by chance; all ones; each of them zero."""
    names = symbols(subject)
    wanted = [{name: 3 + k for k, name in enumerate(names)}, {name: 2 + len(names) - k for k, name in enumerate(names)}]
    found = [sizes for sizes in wanted if admitted(subject, sizes)] or groups(subject, PROFILES["quick"])[:2]
    ones = [dict.fromkeys(names, 1)] if admitted(subject, dict.fromkeys(names, 1)) else []
    if subject.mapped:
        found = found[:1]  # each shape costs JAX a compilation
    empty = empty_groups(subject) if subject.strict else []  # who writes for himself need not think of nothing
    return list({tuple(sizes.items()): sizes for sizes in [*found, *ones, *empty]}.values())


def _places(subject: Subject, sizes: Sizes, seed: int) -> Iterable[Place]:
    """The special points of one shape, the plain one first: one input special at a time, then all of them alike."""
    rng = generator(subject, seed, sizes)
    domains = subject.domains
    noises = {name: rng.standard_normal(domain.shape(sizes)) for name, domain in domains.items()}
    plain = {name: _array(domain.point(noises[name])) for name, domain in domains.items()}

    def place(input_: str, kind: str, changed: dict[str, Any]) -> Place:
        return Place(input_, kind, sizes, tuple(_array(x) for x in {**plain, **changed}.values()))

    yield from (place(input_, kind, {}) for input_, kind in _of_size(subject, sizes))
    if 0 in sizes.values():
        return
    alike: dict[str, dict[str, Any]] = {}
    for name, domain in domains.items():
        fresh = rng.standard_normal(domain.shape(sizes))
        found = domain.special(fresh)
        for scale in SCALES if _scales(domain) and fresh.size else ():
            found[f"scale {scale:.0e}"] = replace(domain, scale=domain.scale * scale).point(noises[name])
        for kind, point in found.items():
            yield place(name, kind, {name: point})
            if kind.startswith(("zero", "scale", "integers")):
                alike.setdefault(kind, {})[name] = point
    yield from (place("", kind, points) for kind, points in alike.items() if len(points) > 1)
    for name in alike.get("zero", {}) if len(alike.get("zero", {})) > 2 else ():
        yield place(name, "all others zero", {other: point for other, point in alike["zero"].items() if other != name})
    yield from (place(*found) for found in _of_the_code(subject, sizes, alike.get("zero", {})))
    for (one, first), (two, second) in combinations(domains.items(), 2):
        if replace(first, held=second.held) == second and plain[one].size:
            yield place(f"{one}, {two}", "equal to each other", {two: plain[one]})


def _of_size(subject: Subject, sizes: Sizes) -> list[tuple[str, str]]:
    """What is special about sizes alone."""
    if 0 in sizes.values():
        return [("", "size 0")]
    if sizes and set(sizes.values()) == {1}:
        return [("", "size 1")]
    shapes = {name: domain.shape(sizes) for name, domain in subject.domains.items() if len(domain.dims) == 2}
    return [(name, "wide" if m < n else "tall") for name, (m, n) in shapes.items() if m != n] or [("", PLAIN)]


def _of_the_code(subject: Subject, sizes: Sizes, zeros: dict[str, Any]) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """One input made of the numbers of the code; another one zero besides, so that what it is subtracted from stays such a number."""
    for name, domain in subject.domains.items():
        own = _at_constants(subject, domain, domain.shape(sizes))
        yield from ((name, CONSTANTS, {name: x}) for x in own)
        each = own[: 2 * MOST_CONSTANTS : own[0].size] if own else []
        yield from ((name, f"{CONSTANTS}, {other} zero", {name: x, other: zeros[other]}) for other in zeros if other != name for x in each)


def _at_constants(subject: Subject, domain: Domain, shape: tuple[int, ...]) -> list[Floats]:
    """Points whose entries are numbers of the subject's code and the middles between them, of both signs, as far as the domain allows.

    What a branch is taken for lies at such a number or between two. First another number stands at each place, in turn, then the
    same one at all.
    """
    numbers = sorted(subject.constants[:MOST_CONSTANTS])
    middles = [(a + b) / 2 for a, b in zip([0.0, *numbers], numbers, strict=False)]
    pool = [x for number in (*numbers, *middles) for x in (number, -number) if domain.allows(x)]
    entries = np.arange(int(np.prod(shape)))
    if not entries.size:
        return []
    turns = [np.take(pool, (entries + k) % len(pool)).reshape(shape) for k in range(len(pool))]
    return [*turns, *(np.full(shape, x) for x in pool if x > 0)]


def _distinct(found: Iterable[Place]) -> list[Place]:
    """Each point once for each input that it is special in: at size 1 many kinds are one."""
    seen: set[Any] = set()
    kept = []
    for place in found:
        key = (place.input, *(x.tobytes() for x in place.inputs))
        if key not in seen or not any(x.size for x in place.inputs) or place.kind in {"wide", "tall"}:
            seen.add(key)
            kept.append(place)
    return kept


def _array(x: Any) -> Floats:
    return np.asarray(x, dtype=np.float64)


def _scales(domain: Domain) -> bool:
    """Whether the domain has points of every scale."""
    shape = tuple(d.fixed or 2 for d in domain.dims)
    probe = np.linspace(0.5, 1.5, int(np.prod(shape))).reshape(shape)
    return not np.array_equal(_array(domain.point(probe)), _array(replace(domain, scale=2 * domain.scale).point(probe)))


def _kinds(subject: Subject, found: Iterable[Place]) -> dict[tuple[str, str], None]:
    """Everything a census of the rule must name: its special points, and how its inputs may lie in memory."""
    named = dict.fromkeys((place.input, place.kind) for place in found if place.kind != PLAIN)
    if not subject.mapped and any(domain.dims for domain in subject.domains.values()):
        named |= dict.fromkeys(("", layout) for layout in LAYOUTS)
    named |= dict.fromkeys((name, POISON) for name, domain in subject.domains.items() if domain.tangent_only)
    scaled = (place for place in found if place.kind.startswith("scale"))
    return named | dict.fromkeys((place.input, f"scale {scale:.0e}") for place in scaled if place.input for scale in EXTREMES)


def missing(subject: Subject, census: Iterable[Coverage]) -> list[str]:
    """The special kinds that the rule's domains contain and the census lacks, as "K: repeated eigenvalues"."""
    covered = {(line.input, line.kind) for line in census if line.cases}
    return [f"{input_}: {kind}" if input_ else kind for input_, kind in _kinds(subject, places(subject)) if (input_, kind) not in covered]


# --- asking --------------------------------------------------------------------------------------------------------------------


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


def _study(subject: Subject, batch: Batch, found: Sequence[Place], answers: Answers, *, probes: int) -> Study:
    """Differences to both sides along the first tangents of each case; the other tangents only show sizes."""
    h = differences.steps(batch.reach[:, :probes])
    offsets = differences.offsets(h)
    along = [t[:, :probes] for t in batch.tangents]
    step = np.where(np.isfinite(batch.reach), np.minimum(batch.reach, 1.0), 1.0) * 2.0**-11
    stencil = _moved(batch, along, offsets)
    sizing = _moved(batch, batch.tangents, step[:, :, None])
    ripple = _moved(batch, along, step[:, :probes, None] / 128 * np.arange(1, RIPPLES + 1))
    count, around = batch.count, batch.neighbours[0].shape[1]
    blocks = []
    lengths = (count, count * around, offsets.size, step.size, count * probes * RIPPLES)
    for x, *others in zip(batch.inputs, batch.neighbours, stencil, sizing, ripple, strict=True):
        blocks.append(np.concatenate([part.reshape(length, *x.shape[1:]) for length, part in zip(lengths, (x, *others), strict=True)]))
    ends = np.cumsum(lengths[:-1])
    result = [np.split(v, ends) for v in values_at(subject, blocks)]
    moving = np.stack([np.any(t, axis=tuple(range(2, t.ndim))) for t in batch.tangents], axis=2)  # (cases, tangents, inputs)
    alike = np.all(moving[:, :probes, None] == moving[:, None], axis=3)  # which tangents move the same inputs as a probe
    differences_, slopes, natural, level = [], [], [], []
    for centre, near, wide, short, close in result:
        tail = centre.shape[1:]
        places_values = np.concatenate([centre[:, None], near.reshape(count, around, *tail)], axis=1)
        values = wide.reshape(*offsets.shape, *tail)
        blur = np.maximum(properties.noise(places_values, 2)[:, None], _ripple(close.reshape(count, probes, RIPPLES, *tail)))
        blur = np.maximum(blur, _plateau(values, centre))
        rise = norms(short.reshape(*step.shape, *tail) - centre[:, None]) / step
        rise = np.where(np.isfinite(rise), rise, 0.0)
        along_all, rise = np.max(rise, axis=1, keepdims=True), np.max(np.where(alike, rise[:, None], 0.0), axis=2)
        found_here, sides = _derivative(values, centre[:, None], h, blur, rise)
        differences_.append(replace(found_here, error=np.maximum(found_here.error, ON_THE_WAY * along_all)))
        slopes.append(sides)
        natural.append(rise)
        level.append(np.broadcast_to(norms(centre, 1)[:, None], (count, probes)))
    kinked = np.any([d.kink for d in differences_], axis=(0, 2))
    marked = tuple(replace(d, kink=np.broadcast_to(kinked[:, None], d.kink.shape)) for d in differences_)
    kept = _first_probes(batch, probes)
    return Study(kept, tuple(found), answers, marked, tuple(slopes), tuple(natural), tuple(level), batch)


def _moved(batch: Batch, tangents: Sequence[Floats], offsets: Floats) -> list[Floats]:
    """The inputs moved by offsets (case, probe, offset) along tangents (case, probe, ...)."""
    points = []
    for i, x in enumerate(batch.inputs):
        here = np.broadcast_to(x[:, None, None], (*offsets.shape, *x.shape[1:]))
        if i in batch.free:
            tangent = tangents[batch.free.index(i)]
            here = here + offsets.reshape(*offsets.shape, *(1,) * (x.ndim - 1)) * tangent[:, :, None]
        points.append(here)
    return points


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
    """The same, seen from a value that moves at one step and not at all at a smaller one: it is rounded to the size of that move.

    Differences at small steps agree by luck there. A function that is constant on a piece has moved by more before it stops. One
    that does not move at the smallest steps may have been rounded like its value, or like 1.
    """
    tail = centre.shape[1:]
    moves = np.abs(values - np.expand_dims(centre, (1, 2)))
    if np.all(moves):
        return np.zeros(values.shape[:2])  # there is no such step
    moves = moves.reshape(*values.shape[:2], len(differences.STARTS), differences.ROWS, 2, *tail)
    coarse, fine = moves[:, :, :, :-1], moves[:, :, :, 1:]
    most = 2.0**-30 * np.maximum(1.0, np.abs(np.expand_dims(centre, (1, 2, 3, 4))))
    last = np.where((fine == 0) & (coarse <= most), coarse, 0.0)
    still = np.all(moves[:, :, :, -2:].reshape(*values.shape[:2], -1) == 0, axis=-1)
    return np.where(still, EPSILON * np.maximum(1.0, norms(centre, 1))[:, None], norms(np.max(last, axis=(2, 3, 4), initial=0.0)))


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


# --- weighing ------------------------------------------------------------------------------------------------------------------


def _compared(gap: Floats, size: Floats, error: Floats, natural: Floats, level: Floats) -> Comparison:
    """A difference (case, probe, ...) beside what rounding and the oracle's own error allow; three digits are enough to judge.

    `level` is the size of the value: a derivative may vanish altogether, and then that is what it is small beside.
    """
    scale = np.maximum(size, natural)
    tolerance = LEAST * scale + ROUNDING * EPSILON * level + TRUST * error
    known = (tolerance <= TOO_WEAK * scale) | (tolerance <= VANISHING * np.where(scale > 0, level, 1.0))
    usable = np.isfinite(tolerance) & np.isfinite(scale) & known
    return Comparison(gap, norms(gap), np.where(np.isfinite(tolerance), tolerance, 0.0), size, natural, usable | (0 in gap.shape))


def _paired(study: Study, sizes: Sequence[Floats]) -> Floats:
    """Sizes of the cotangents times the sizes of what they are paired with, summed over the arrays of the value."""
    return np.sum([norms(c) * x for c, x in zip(study.batch.cotangents, sizes, strict=True)], axis=0)


def _against_differences(subject: Subject, study: Study) -> Judged:
    """Jvp and vjp beside the derivative that the function's own values show; nothing is said at a kink."""
    answers, batch, name = study.answers, study.batch, subject.name
    sizes = [norms(d.value) for d in study.found]
    judged = [
        (f"the jvp of {name} is not what finite differences give", _compared(mine - d.value, size, d.error, natural, level))
        for mine, d, size, natural, level in zip(answers.jvp, study.found, sizes, study.natural, study.level, strict=False)
    ]
    if answers.vjp:
        mine, theirs = properties.pairings(answers, batch, [d.value for d in study.found])
        error = _paired(study, [d.error for d in study.found])
        c = _compared(mine - theirs, _paired(study, sizes), error, _paired(study, study.natural), _paired(study, study.level))
        judged.append((f"the vjp of {name} is not what finite differences give", c))
    return judged


def _blur(study: Study) -> list[Floats]:
    """How well each derivative is known, at kinks too."""
    sides = [norms(s.right_error) + norms(s.left_error) for s in study.slopes]
    return [np.where(d.kink, blur, d.error) for d, blur in zip(study.found, sides, strict=True)]


def _against_itself(subject: Subject, study: Study) -> Judged:
    """Adjoint identity, linearity, and gradients that keep out of what is not read: they hold at kinks too."""
    answers, batch, blur, name = study.answers, study.batch, _blur(study), subject.name
    judged: Judged = []
    if answers.jvp and answers.vjp:
        mine, theirs = properties.pairings(answers, batch, answers.jvp)
        own = np.sum([norms(g) * norms(t) for g, t in zip(answers.vjp, batch.tangents, strict=True)], axis=0)
        size = own + _paired(study, [norms(j) for j in answers.jvp])
        size = np.where(np.isfinite(size), size, 0.0)  # a rule that gives inf has no say in how large it may be
        c = _compared(mine - theirs, size, _paired(study, blur), _paired(study, study.natural), _paired(study, study.level))
        judged.append((f"the vjp of {name} is not the adjoint of its jvp", c))
    stick = _yardstick(study, blur)
    judged += [(f"the jvp or the vjp of {name} is not linear", c) for c in properties.maps_are_linear(answers, stick)]
    leaks = properties.gradient_keeps_structure(subject, answers, batch, stick)
    return judged + [(f"a gradient of {name} has entries where its input has none", c) for c in leaks]


def _yardstick(study: Study, blur: Sequence[Floats]) -> Yardstick:
    """Sizes of the derivatives as the function's values show them."""
    sizes = [np.maximum(norms(d.value), n) for d, n in zip(study.found, study.natural, strict=True)]
    paired, paired_blur, level = (_paired(study, x) for x in (sizes, blur, study.level))
    speeds = [np.where(norms(t) > 0, norms(t), 1.0) for t in study.batch.tangents]
    share = TRUST / SAFETY
    return Yardstick(
        value=(),
        jvp=tuple(Measure(size, share * b, size + level) for size, b, level in zip(sizes, blur, study.level, strict=True)),
        vjp=tuple(Measure(paired / speed, share * paired_blur / speed, (paired + level) / speed) for speed in speeds),
    )


# --- kinks ---------------------------------------------------------------------------------------------------------------------


def _between_the_sides(subject: Subject, study: Study, rng: np.random.Generator) -> Judged:
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
        blur, natural, level = (x[k] if k is not None else _paired(study, x) for x in (errors, study.natural, study.level))
        mine = answers.jvp[k] if k is not None else properties.pairings(answers, study.batch, study.batch.cotangents)[0][..., None]
        low, high = np.minimum(right, left), np.maximum(right, left)
        outside = np.where(np.isnan(mine), np.nan, np.maximum(np.maximum(low - mine, mine - high), 0.0))
        c = _compared(outside, np.maximum(norms(low), norms(high)), blur, natural, level)
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

    It does not bend both ways if only two derivatives are found nearby, or if a few are and it is convex in the tangent,
    f'(x; a) + f'(x; b) >= f'(x; a + b) for all a and b, or concave. The sampled range is widened by its own width to each side,
    since where many kinks meet no sample has them all on one side.
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
    to_a, to_b, to_both = (slope([x[None] for x in batch.point(case)], along, speed * 2.0**-21) for along in (a, b, both))
    bends = to_a + to_b - to_both
    slack = 1e-5 * float(np.max(np.abs([to_a, to_b, to_both]), initial=0.0))
    one_way = np.all(bends >= -slack, axis=0) | np.all(bends <= slack, axis=0)
    around = moved_by([x[None] for x in batch.point(case)], tangents(NEARBY), speed * 2.0**-14)
    same = [np.broadcast_to(t[case, probe], (NEARBY, *t.shape[2:])) for t in batch.tangents]
    sampled = np.sort(slope(around, same, speed * 2.0**-28), axis=0)
    small = 1e-4 * float(np.max(np.abs(sampled), initial=0.0))
    different = 1 + np.sum(np.diff(sampled, axis=0) > small, axis=0)
    room = sampled[-1] - sampled[0] + small
    among = (sampled[0] - room <= mine) & (mine <= sampled[-1] + room)
    return among & (different > 2) & ~(one_way & (different <= FEW))


def _more_directions(subject: Subject, batch: Batch, rng: np.random.Generator) -> Batch:
    """The same points along the direction of ones, along themselves, and along two more: where ties bend, and where they do not."""
    noises = []
    for i in batch.free:
        x = batch.inputs[i]
        radial = np.where(np.any(x, axis=tuple(range(1, x.ndim)), keepdims=True), x, rng.standard_normal(x.shape))
        size = norms(radial, 1) / max(1.0, np.sqrt(x[0].size))
        radial = radial / np.where(size > 0, size, 1.0).reshape(-1, *(1,) * (x.ndim - 1))
        noises.append(np.stack([np.ones_like(x), radial, *rng.standard_normal((DIRECTIONS - 2 + SIZING, *x.shape))], axis=1))
    return _assembled(subject, batch.sizes, batch.inputs, tuple(noises), [c.shape[2:] for c in batch.cotangents], rng)


# --- how arrays lie in memory, what is not read, and the ends of the range ------------------------------------------------------


def _everything(subject: Subject, arrays: Sequence[Floats]) -> list[Floats]:
    """Value, jvp and vjp as far as they are claimed, at one point."""
    if subject.mapped:
        try:
            return [x[0] for x in autodiff.run(properties.everything(subject), [x[None] for x in arrays])]
        except autodiff.CannotTraceError:  # what is claimed may be NumPy code all the same
            pass
    return [_array(x) for x in properties.everything(subject)(*arrays)]


def _question(study: Study) -> list[Floats]:
    """Inputs, tangents and cotangents of the first case, each an array of its own."""
    batch = study.batch
    return [np.array(x) for x in (*batch.point(0), *(t[0, 0] for t in batch.tangents), *(c[0, 0] for c in batch.cotangents))]


def _laid_out(x: Floats, layout: str) -> Floats:
    """The same numbers, lying otherwise in memory."""
    match layout:
        case "Fortran order":
            return np.array(x, order="F")
        case "strided":
            wide = np.full((*x.shape, 2), np.nan)
            wide[..., 0] = x
            return wide[..., 0]
        case _:
            backwards = (slice(None, None, -1),) * x.ndim
            return np.array(x[backwards], order="C")[backwards]


def _layouts(subject: Subject, study: Study, report: Report) -> None:
    """The answers do not depend on how inputs, tangents and cotangents lie in memory: only their rounding may."""
    batch, asked = study.batch, _question(study)
    plain = _everything(subject, asked)
    scatter = [0.0 for _ in plain]
    for m in range(batch.neighbours[0].shape[1]):
        other = _everything(subject, [*(np.array(x[0, m]) for x in batch.neighbours), *asked[len(batch.inputs) :]])
        scatter = [max(s, float(np.linalg.norm(x - y))) for s, x, y in zip(scatter, plain, other, strict=True)]
    least = [s * EPSILON / PERTURBATION for s in scatter]
    for layout in LAYOUTS:
        sentence = f"{subject.name} answers otherwise when its arguments lie in memory otherwise ({layout})"
        try:
            there = _everything(subject, [_laid_out(x, layout) for x in asked])
        except ValueError:
            if layout != BACKWARDS:
                raise
            report.count("", layout, judged=False, note="its library takes no arrays with negative strides")
            continue
        report.same("layout", there, plain, least, sentence)
        report.count("", layout, judged=True)


def _poisons(subject: Subject, study: Study, report: Report) -> None:
    """With NaN in what the domain says is not read nothing changes, and the gradient there is exactly zero."""
    batch, asked = study.batch, _question(study)
    for i, (name, domain) in enumerate(subject.domains.items()):
        if not domain.tangent_only:
            continue
        unread = _array(domain.tangent(asked[i], np.ones_like(asked[i]))) == 0
        plain = _everything(subject, asked)
        there = _everything(subject, [np.where(unread, np.nan, x) if k == i else x for k, x in enumerate(asked)])
        sentence = f"{subject.name} reads entries of {name} that its domain does not have: NaN there changes its answers"
        report.same("poison", there, plain, [0.0 for _ in plain], sentence)
        if i in batch.free and study.answers.vjp:
            leak = np.abs(plain[len(plain) - len(batch.free) + batch.free.index(i)][unread])
            sentence = f"the gradient of {subject.name} with respect to {name} is not exactly zero in the entries that are not read"
            report.say("poison", "itself", Finding(*_margin(float(np.max(leak, initial=0.0)), 0.0), 1.0, sentence=sentence))
        report.count(name, POISON, judged=bool(unread.any()))


def _extremes(subject: Subject, study: Study, report: Report) -> None:
    """At scales 1e-150 and 1e150 nothing raises, and where value and derivative have room, no derivative is nan or inf."""
    asked, batch = _question(study), study.batch
    values = len(batch.cotangents)
    for i, name in enumerate(batch.names):
        for scale in EXTREMES if _scales(subject.domains[name]) else ():
            there = [
                scale * x if k == i or (i in batch.free and k == len(batch.inputs) + batch.free.index(i)) else x
                for k, x in enumerate(asked)
            ]
            where = f"where {name} has scale {scale:.0e}"
            try:
                found = _everything(subject, there)
            except np.linalg.LinAlgError as error:
                report.count(name, f"scale {scale:.0e}", judged=False, note=f"the library gives up: {first_line(error)}")
                continue
            except Exception as error:  # noqa: BLE001
                sentence = f"{subject.name} raises {type(error).__name__} {where}: {first_line(error)}"
                report.say("extremes", "itself", Finding(*_margin(np.inf, 0.0), 1.0, sentence=sentence))
                continue
            size = max(float(np.max(np.abs(v), initial=0.0)) for v in found[:values])
            room = bool(0 < size / min(1.0, scale) < ROOM)
            finite = all(np.all(np.isfinite(x)) for x in found[values:])
            if room:
                sentence = f"a derivative of {subject.name} is nan or inf {where} and its value is not"
                report.say("extremes", "itself", Finding(*_margin(0.0 if finite else np.inf, 1.0), 1.0, sentence=sentence))
            report.count(
                name, f"scale {scale:.0e}", judged=room, note="" if room else "value or derivative leave the range of floating point"
            )


# --- the survey ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """One property at one special point."""

    margin: float
    error: float
    tolerance: float
    scale: float
    usable: bool = True
    sentence: str = ""
    place: Place | None = None


def _margin(error: float, tolerance: float) -> tuple[float, float, float]:
    """Margin, error and tolerance; what is not a number is infinitely far."""
    error = error if np.isfinite(error) else np.inf
    return (error / tolerance if tolerance > 0 else (np.inf if error > 0 else 0.0)), error, tolerance


def _blame(findings: Sequence[Finding]) -> str:
    """The sentence of the worst failure, and in what other places there are some."""
    failed = sorted((f for f in findings if f.margin > 1), key=lambda f: -f.margin)
    worst = failed[0]
    others = dict.fromkeys(f.place.label for f in failed if f.place is not None)
    others.pop(worst.place.label if worst.place is not None else "", None)
    if not others:
        return worst.sentence
    named = list(others)[:NAMED]
    more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
    return f"{worst.sentence}; wrong at {', '.join(named)}{more} too"


class Report:
    """Evidence and census of one rule while they are gathered."""

    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self.findings: dict[tuple[str, str], list[Finding]] = {}
        self.lines: dict[tuple[str, str], list[tuple[bool, str]]] = {}

    def say(self, property_: str, oracle: str, finding: Finding) -> None:
        """One more finding."""
        self.findings.setdefault((property_, oracle), []).append(finding)

    def count(self, input_: str, kind: str, *, judged: bool, note: str = "") -> None:
        """One more point of a kind, and whether an oracle could tell."""
        if kind != PLAIN:
            self.lines.setdefault((input_, kind), []).append((judged, note))

    def same(self, property_: str, there: Sequence[Floats], plain: Sequence[Floats], least: Sequence[float], sentence: str) -> None:
        """Answers that must be what they were, but for rounding or for what they are known to scatter by."""
        found = []
        for x, y, scatter in zip(there, plain, least, strict=True):
            size = float(np.linalg.norm(y))
            error = float(np.linalg.norm(x - y)) if x.shape == y.shape else np.inf
            found.append(Finding(*_margin(error, SAFETY * max(EPSILON * size, scatter)), size, sentence=sentence))
        self.say(property_, "itself", max(found, key=lambda f: f.margin))

    def add(self, property_: str, oracle: str, study: Study, judged: Judged, where: Bools) -> Bools:
        """A finding for each case: its worst comparison. Returns at which cases all comparisons were usable."""
        usable = np.all([c.usable.all(axis=1) for _, c in judged], axis=0) & where if judged else where & False
        margins = [c.margin for _, c in judged]
        for case in np.flatnonzero(where) if judged else ():
            probes = [int(np.argmax(margin[case])) for margin in margins]
            which = int(np.argmax([margin[case, probe] for margin, probe in zip(margins, probes, strict=True)]))
            (meaning, c), probe, margin = judged[which], probes[which], float(margins[which][case, probes[which]])
            error, tolerance, scale = (float(x[case, probe]) for x in (c.error, c.tolerance, np.maximum(c.scale, c.natural)))
            sentence = ""
            if not self.strict and study.places[case].kind.startswith(ILL_CONDITIONED) and error <= GROSS * scale:
                margin = min(margin, 1.0)
            if margin > 1:
                much = f"relative error {error / scale if scale else np.inf:.1e}" if np.isfinite(error) else "it is nan or inf"
                sentence = f"{meaning} at a special point ({study.places[case]}): {much}"
            usable_ = bool(usable[case]) or margin > 1
            self.say(property_, oracle, Finding(margin, error, tolerance, scale, usable_, sentence, study.places[case]))
        return usable

    def evidence(self) -> list[Evidence]:
        """The findings as values, with the sentence of the worst failure."""
        evidence = []
        for (property_, oracle), findings in self.findings.items():
            usable = [f for f in findings if f.usable]
            worst = max(usable, key=lambda f: f.margin, default=Finding(0.0, 0.0, 0.0, 0.0))
            status = Status.VERIFIED if 2 * len(usable) >= len(findings) else Status.INCONCLUSIVE
            status = Status.REFUTED if worst.margin > 1 else status
            evidence.append(
                Evidence(
                    property=property_,
                    oracle=oracle,
                    status=status,
                    cases=len(usable),
                    skipped=len(findings) - len(usable),
                    worst_error=worst.error,
                    tolerance=worst.tolerance,
                    scale=worst.scale,
                    condition=max(1.0, worst.tolerance / (SAFETY * EPSILON * worst.scale)) if worst.scale else 1.0,
                    margins=tuple(f.margin for f in usable),
                    errors=tuple(f.error / f.scale if f.scale else 0.0 for f in usable),
                    note=_blame(findings) if status is Status.REFUTED else next((f.sentence for f in findings if not f.usable), ""),
                )
            )
        return evidence

    def census(self) -> tuple[Coverage, ...]:
        """How many points of each kind there were, and at how many of them some oracle could tell."""
        return tuple(
            Coverage(
                input_, kind, len(points), sum(judged for judged, _ in points), "; ".join(dict.fromkeys(note for _, note in points if note))
            )
            for (input_, kind), points in self.lines.items()
        )


def survey(subject: Subject, *, seed: int = 0) -> tuple[list[Evidence], tuple[Coverage, ...]]:
    """Evidence from the special points of the rule's domains, and the census of what was looked at.

    The evidence is of the properties "special" (beside finite differences, and beside itself), "kink", "layout", "poison" and
    "extremes"; where one is refuted, its note is the sentence that names the point. Nothing is raised for a bad rule.
    """
    with np.errstate(all="ignore"), catch_warnings():
        simplefilter("ignore")  # of libraries that meet singular matrices: the verdict tells
        return _survey(subject, seed)


def _survey(subject: Subject, seed: int) -> tuple[list[Evidence], tuple[Coverage, ...]]:
    report = Report(strict=subject.strict)
    shapes: dict[tuple[tuple[str, int], ...], list[Place]] = {}
    for place in places(subject, seed=seed):
        shapes.setdefault(tuple(place.sizes.items()), []).append(place)
    for index, found in enumerate(shapes.values()):
        rng = generator(subject, seed + 1, found[0].sizes)
        study = _observed(subject, found, rng, report)
        if study is None:
            continue
        _weigh(subject, study, rng, report)
        for property_, check in _whole(subject).items() if not index and study.places[0] is found[0] else ():
            try:
                check(subject, study, report)
            except Exception as error:  # noqa: BLE001  (that the rule raises is the result)
                sentence = f"{subject.name} raises {type(error).__name__} in the test of {property_}: {first_line(error)}"
                report.say(property_, "itself", Finding(*_margin(np.inf, 0.0), 1.0, sentence=sentence))
    return report.evidence(), report.census()


def _whole(subject: Subject) -> dict[str, Callable[[Subject, Study, Report], None]]:
    """The checks of whole answers. Arrays of JAX have no order in memory, so there is none of it where JAX runs the rule."""
    with_order = not subject.mapped and any(domain.dims for domain in subject.domains.values())
    if not subject.strict:  # the ends of the range and the order in memory are for those who promise them
        return {"poison": _poisons}
    return {**({"layout": _layouts} if with_order else {}), "poison": _poisons, "extremes": _extremes}


def _observed(subject: Subject, found: Sequence[Place], rng: np.random.Generator, report: Report) -> Study | None:
    """The points of one shape at which the function has a finite value and the rule answers; None if there are none."""
    values = _at_once(subject, found, report) if subject.mapped else [_value(subject, place, report) for place in found]
    kept = [k for k, value in enumerate(values) if value is not None]
    if not kept:
        return None
    inputs = tuple(np.stack(x) for x in zip(*(found[k].inputs for k in kept), strict=True))
    shapes = [v.shape for v in values[kept[0]] or ()]
    free = subject.differentiated
    alone = len(free) if len(free) > 1 else 0  # after the first tangent, which moves all inputs, one that moves each of them alone
    probes = 1 + alone
    alone_again = np.repeat(np.arange(alone), SIZING_ALONE)
    count = probes + SIZING + len(alone_again)
    noises = [rng.standard_normal((len(kept), count, *inputs[list(subject.domains).index(name)].shape[1:])) for name in free]
    for (probe, moves), i in product([*enumerate(range(alone), 1), *enumerate(alone_again, probes + SIZING)], range(len(free))):
        noises[i][:, probe] *= moves == i
    batch = _assembled(subject, found[0].sizes, inputs, tuple(noises), shapes, rng)
    answers, faults = _asked(subject, _first_probes(batch, probes))
    for k, fault in faults.items():
        place = found[kept[k]]
        if not subject.strict and isinstance(fault.__cause__, np.linalg.LinAlgError):
            report.count(place.input, place.kind, judged=False, note=fault.sentence)
            continue
        sentence = f"{fault.sentence}, at a special point ({place})"
        report.say("special", "itself", Finding(*_margin(np.inf, 0.0), 1.0, sentence=sentence))
        report.count(place.input, place.kind, judged=True)
    if answers is None:
        return None
    rest = [k for k in range(len(kept)) if k not in faults]
    return _study(subject, _rows(batch, rest), [found[kept[k]] for k in rest], answers, probes=probes)


def _value(subject: Subject, place: Place, report: Report) -> list[Floats] | None:
    """The value at a point; None, and why in the report, where there is none or it is not finite."""
    try:
        value = [_array(v) for v in parts(subject.value(*(np.array(x) for x in place.inputs)))]
    except Exception as error:  # noqa: BLE001
        if not subject.strict:
            report.count(
                place.input, place.kind, judged=False, note=f"{subject.name} itself raises {type(error).__name__}: {first_line(error)}"
            )
            return None
        if isinstance(error, np.linalg.LinAlgError) and place.kind.startswith(ILL_CONDITIONED):
            report.count(place.input, place.kind, judged=False, note=f"the library gives up: {first_line(error)}")
            return None
        sentence = f"{subject.name} raises {type(error).__name__} at a special point ({place}): {first_line(error)}"
        report.say("special", "itself", Finding(*_margin(np.inf, 0.0), 1.0, sentence=sentence))
        report.count(place.input, place.kind, judged=True)
        return None
    return _finite(value, place, report)


def _at_once(subject: Subject, found: Sequence[Place], report: Report) -> list[list[Floats] | None]:
    """The same for all points of one shape, where JAX runs the function."""
    try:
        values = values_at(subject, [np.stack(x) for x in zip(*(place.inputs for place in found), strict=True)])
    except FaultError:  # it raises at all of them
        return [_value(subject, place, report) for place in found]
    return [_finite([v[k] for v in values], place, report) for k, place in enumerate(found)]


def _finite(value: list[Floats], place: Place, report: Report) -> list[Floats] | None:
    """The value; None, and why in the report, where it is not finite."""
    if all(np.all(np.isfinite(v)) for v in value):
        return value
    report.count(place.input, place.kind, judged=False, note="the value is not finite there")
    return None


def _asked(subject: Subject, batch: Batch) -> tuple[Answers | None, dict[int, FaultError]]:
    """What the rule says at the cases, and at which of them it cannot be asked."""
    answered: list[Answers] = []
    faults: dict[int, FaultError] = {}
    if subject.mapped:
        with suppress(FaultError):  # then one by one, to find out where
            return properties.ask(subject, batch), faults
    for k in range(batch.count):
        try:
            answered.append(properties.ask(subject, _rows(batch, [k])))
        except FaultError as fault:
            faults[k] = fault

    def join(columns: Sequence[Arrays]) -> Arrays:
        return tuple(np.concatenate(arrays) for arrays in zip(*columns, strict=True))

    if not answered:
        return None, faults
    bent = join([a.nonlinear[0] for a in answered]), join([a.nonlinear[1] for a in answered])
    return Answers(join([a.value for a in answered]), join([a.jvp for a in answered]), join([a.vjp for a in answered]), bent), faults


def _assembled(
    subject: Subject, sizes: Sizes, inputs: Arrays, noises: Arrays, shapes: Sequence[tuple[int, ...]], rng: np.random.Generator
) -> Batch:
    """A batch at given points along given noise, with random cotangents and neighbours."""
    cases, probes = noises[0].shape[:2]
    cotangents = tuple(rng.standard_normal((cases, probes, *shape)) for shape in shapes)
    return assemble(subject, sizes, inputs, noises, cotangents, tuple(rng.standard_normal((cases, 2, *x.shape[1:])) for x in inputs))


def _rows(batch: Batch, cases: Sequence[int]) -> Batch:
    """Some cases of a batch."""
    inputs, tangents, cotangents, neighbours = (
        tuple(x[list(cases)] for x in arrays) for arrays in (batch.inputs, batch.tangents, batch.cotangents, batch.neighbours)
    )
    return replace(batch, inputs=inputs, tangents=tangents, cotangents=cotangents, neighbours=neighbours, reach=batch.reach[list(cases)])


def _first_probes(batch: Batch, probes: int) -> Batch:
    """The first probes of all cases."""
    tangents, cotangents = (tuple(x[:, :probes] for x in arrays) for arrays in (batch.tangents, batch.cotangents))
    return replace(batch, tangents=tangents, cotangents=cotangents, reach=batch.reach[:, :probes])


def _weigh(subject: Subject, study: Study, rng: np.random.Generator, report: Report) -> None:
    """All comparisons at the points of one shape, into the report; and its census."""
    kinked = np.any([d.kink.any(axis=1) for d in study.found], axis=0)
    undefined = kinked & ~_finite_answers(study) if not subject.strict else np.zeros_like(kinked)
    everywhere, kinked = ~undefined, kinked & ~undefined
    for k in np.flatnonzero(undefined):
        place = study.places[k]
        sentence = (
            f"what is claimed of {subject.name} is nan or inf at a special point ({place}), where there is a value and no derivative: "
            "leave the point out of the domain, or give a subgradient"
        )
        report.say("kink", "itself", Finding(0.0, 0.0, 0.0, 0.0, usable=False, sentence=sentence, place=place))
    beside_differences = _excused(subject, study, _settled(subject, study, _against_differences))
    usable = report.add("special", "finite differences", study, beside_differences, ~kinked)
    report.add("special", "itself", study, _settled(subject, study, _against_itself), everywhere)
    if kinked.any():
        between = _excused(subject, study, _between_the_sides(subject, study, rng), kinks=True)
        usable = usable | report.add("kink", "one-sided differences", study, between, kinked)
        cases = [int(k) for k in np.flatnonzero(kinked)]
        more = _more_directions(subject, _rows(study.whole, cases), rng)
        answers, _ = _asked(subject, _first_probes(more, DIRECTIONS))
        if answers is not None and len(answers.value[0]) == len(cases):
            closer = _study(subject, more, [study.places[k] for k in cases], answers, probes=DIRECTIONS)
            between = _excused(subject, closer, _between_the_sides(subject, closer, rng), kinks=True)
            report.add("kink", "one-sided differences", closer, between, np.ones(len(cases), dtype=bool))
    for place, judged, nowhere in zip(study.places, usable, undefined, strict=True):
        why = "it is nan or inf there, where there is no derivative" if nowhere else "differences are not sharp enough there"
        report.count(place.input, place.kind, judged=bool(judged), note="" if judged else why)


def _finite_answers(study: Study) -> NDArray[np.bool_]:
    """At which cases what is claimed is a number."""
    arrays = (*study.answers.jvp, *study.answers.vjp)
    return np.all([np.isfinite(x).all(axis=tuple(range(1, x.ndim))) for x in arrays], axis=0)


def _settled(subject: Subject, study: Study, judge: Callable[[Subject, Study], Judged]) -> Judged:
    """The comparisons, rounding told from mistakes by a second look nearby where one fails by little.

    They stay as they are where the rule cannot be asked nearby.
    """
    judged = judge(subject, study)
    cases = [int(k) for k in np.flatnonzero(np.any([np.any(c.margin > 1, axis=1) for _, c in judged], axis=0))]
    some, probes = _rows(study.whole, cases), study.batch.reach.shape[1]

    def again(seed: int) -> Compared:
        near = nearby(subject, some, seed)
        noises = [around - here[:, None] for around, here in zip(some.neighbours, some.inputs, strict=True)]
        near = replace(near, neighbours=tuple(x[:, None] + noise for x, noise in zip(near.inputs, noises, strict=True)))
        answers, faults = _asked(subject, _first_probes(near, probes))
        for fault in faults.values():
            raise fault
        assert answers is not None  # noqa: S101  (there are cases, and no faults)
        found = judge(subject, _study(subject, near, [study.places[k] for k in cases], answers, probes=probes))
        return {"": [_with_rows(c, cases, there) for (_, c), (_, there) in zip(judged, found, strict=True)]}

    try:
        settled = properties.second_look({"": [c for _, c in judged]}, again)[""]
    except FaultError:
        return judged
    return [(meaning, c) for (meaning, _), c in zip(judged, settled, strict=True)]


def _excused(subject: Subject, study: Study, judged: Judged, *, kinks: bool = False) -> Judged:
    """The comparisons with differences, without those that fail for no fault of the formula.

    Of what looks like `kinks` those are left out at which smaller steps see none.
    """
    failed = np.any([np.any(c.usable & (c.margin > 1) & np.isfinite(c.error), axis=1) for _, c in judged], axis=0)
    cases = [int(k) for k in np.flatnonzero(failed)]
    batch, probes = _rows(study.whole, cases), study.batch.reach.shape[1]
    answers, faults = _asked(subject, _first_probes(batch, probes)) if cases else (None, {})
    if answers is None or faults:
        return judged
    accused = Accused(subject, [study.places[k] for k in cases], batch, probes, answers, [_only(c, cases) for _, c in judged])
    for index, excuse in [*accused.bent(), *(() if subject.strict or kinks else accused.lost())]:
        c = judged[index][1]
        c.error[cases] = np.where(excuse, 0.0, c.error[cases])
        c.usable[cases] &= ~excuse
    return judged


@dataclass(frozen=True)
class Accused:
    """Special points at which differences speak against what is claimed; `compared` as `_against_differences` has it.

    Each question is answered by the comparisons it is about, by their index, and the cases and probes that it excuses.
    """

    subject: Subject
    places: list[Place]
    batch: Batch  # with all tangents
    probes: int
    answers: Answers
    compared: list[Comparison]

    def bent(self) -> Iterable[tuple[int, Bools]]:
        """Where differences at much smaller steps side with it: a saturated function bends within the larger ones."""
        for scale in CLOSER:
            near = replace(self.batch, reach=np.minimum(self.batch.reach, 1.0) * scale)
            found = _against_differences(self.subject, _study(self.subject, near, self.places, self.answers, probes=self.probes))
            for index, (c, (_, there)) in enumerate(zip(self.compared, found, strict=False)):  # at kinks without the vjp beside a jvp
                yield index, there.usable & (there.margin <= 1) & (there.tolerance <= c.error / TRUST)

    def lost(self) -> Iterable[tuple[int, Bools]]:
        """Where JAX, at conditions and scales that nobody asked for, does not say what differences say.

        Digits are lost there that only a rule has to keep; to convict somebody's code both must speak against it.
        """
        pushed = self.by_jax()
        far = np.array([[place.kind.startswith(ILL_CONDITIONED)] for place in self.places])
        asked = _first_probes(self.batch, self.probes)
        theirs = list(pushed[: len(self.answers.jvp)])
        if pushed and self.answers.vjp:
            theirs.append(properties.pairings(self.answers, asked, pushed)[1])
        for index, (c, mine, jax) in enumerate(zip(self.compared, self.pushed(self.answers), theirs, strict=False)):
            yield index, far & (norms(jax - (mine - c.gap)) > c.error / TRUST)

    def pushed(self, answers: Answers) -> list[Floats]:
        """What is compared: the jvp, and the vjp along the tangents."""
        asked = _first_probes(self.batch, self.probes)
        return [*answers.jvp, *([properties.pairings(answers, asked, asked.cotangents)[0]] if answers.vjp else [])]

    def by_jax(self) -> Arrays:
        """JAX's derivatives along the tangents, of the function or of its copy in JAX's words; nothing where there are none."""
        for function in (self.subject.value, autodiff.translated(self.subject.value)):
            rows = [] if function is None else self._by_jax(autodiff.lent(function), autodiff.forward(function, self.batch.free))
            if rows:
                return tuple(np.array([[arrays[i] for arrays in row] for row in rows]) for i in range(len(rows[0][0])))
        return ()

    def _by_jax(self, value: Callable[..., Any], forward: Callable[..., Any]) -> list[list[tuple[Any, ...]]]:
        push, rows = autodiff.lent(forward), []
        try:
            for k in range(self.batch.count):
                point = self.batch.point(k)
                if not np.allclose(parts(value(*point))[0], parts(self.subject.value(*point))[0], equal_nan=True):
                    return []  # a copy that is another function
                rows.append([parts(push(point, [t[k, probe] for t in self.batch.tangents])) for probe in range(self.probes)])
        except Exception:  # noqa: BLE001  (JAX cannot run what it was not written for)
            return []
        return rows


def _only(comparison: Comparison, cases: Sequence[int]) -> Comparison:
    """A comparison at some cases."""
    return Comparison(**{name: x[cases] for name, x in vars(comparison).items()})


def _with_rows(comparison: Comparison, cases: Sequence[int], there: Comparison) -> Comparison:
    """A comparison with the gap of another one at some cases."""
    gap, usable = comparison.gap.copy(), comparison.usable.copy()
    gap[cases], usable[cases] = there.gap, there.usable
    return replace(comparison, gap=gap, usable=usable)
