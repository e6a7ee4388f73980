"""Cases: the points, tangents and cotangents at which a rule is looked at.

Drawn in batches of one shape from a seed, so that an oracle compiles once for many cases; or one at a time by Hypothesis, so
that a failing case can be shrunk. Both shape noise into points through the rule's domains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from matcalc.array import parts
from matcalc.domain import Domain, Sizes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hypothesis.strategies import SearchStrategy
    from numpy.typing import NDArray

    from matcalc.rule import Subject

    Arrays = tuple[NDArray[np.float64], ...]

EPSILON = float(np.finfo(np.float64).eps)
PERTURBATION = 8 * EPSILON
"Relative size of the perturbations by which the conditioning of a derivative is measured."
JITTER = 2.0**-30
"Relative size of the moves that tell a mistake from rounding."


@dataclass(frozen=True)
class Profile:
    """How hard to look: cases in all, and how many independent tangents and cotangents at each."""

    cases: int
    probes: int
    perturbations: int
    equal: int = 3  # the size of all dimensions where all are equal; that of a single one is five at least
    apart: int = 1  # by how much sizes that rise or fall do
    large: bool = False  # sizes up to 12 as well
    differenced: int = 10**9  # at so many cases of each shape finite differences are taken, unless they are the only oracle


PROFILES = {
    "quick": Profile(cases=48, probes=2, perturbations=2),
    "default": Profile(cases=208, probes=2, perturbations=3),
    "thorough": Profile(cases=600, probes=3, perturbations=4, large=True),
}

COUNTS, MORE_SIZES = range(4, 130), 4
"Whole numbers in a function's code that may be sizes at which it does something else, and how many sizes are tried for them."
MOST_ENTRIES = 400
"Entries of an input at sizes that are larger than they need be."
MOST_SIZES = 3**10
"Choices of sizes among which a small counterexample is sought."
SPREADS = (1.0, 1.0, 1e2, 1.0, 1e4, 1.0, 1e1, 1.0)
SCALES = (1.0, 1.0, 1.0, 4.0, 1.0, 0.25, 1.0, 1.0)


@dataclass(frozen=True)
class Batch:
    """Cases of one shape. Every array has the case as its first axis, and tangents and cotangents the probe as their second.

    `neighbours` are the inputs moved by a few units in the last place: how far the derivative moves with them measures its
    condition number.
    """

    sizes: Sizes
    names: tuple[str, ...]
    free: tuple[int, ...]  # positions of the inputs that are differentiated
    inputs: Arrays
    tangents: Arrays  # (cases, probes, *input shape), one for each free input
    cotangents: Arrays  # (cases, probes, *value shape), one for each array of the value
    neighbours: Arrays  # (cases, perturbations, *input shape)
    reach: NDArray[np.float64]  # (cases, probes): how far along each tangent the domain goes; nan where nobody has asked yet

    @property
    def count(self) -> int:
        """Number of cases."""
        return len(self.inputs[0])

    def point(self, case: int) -> Arrays:
        """The inputs of one case."""
        return tuple(np.asarray(x[case]) for x in self.inputs)


def tangential(domain: Domain, points: NDArray[np.float64], ambient: NDArray[np.float64]) -> NDArray[np.float64]:
    """Arrays (case, probe, ...) projected on the tangent spaces at their cases' points."""
    if type(domain).tangent is Domain.tangent:
        return ambient
    return _array(domain.tangent(points[:, None], ambient))


def moved(domain: Domain, points: NDArray[np.float64], noise: NDArray[np.float64], by: float) -> NDArray[np.float64]:
    """Points (case, probe, ...) a relative distance away from each point, along the tangent space; labels and signs stay."""
    here = points[:, None]
    return here + 0 * noise if domain.discrete else here + tangential(domain, points, by * here * noise)


def nearby(rule: Subject, batch: Batch, seed: int) -> Batch:
    """The same cases with every input moved by a relative 1e-9: rounding errors fall otherwise, everything else stays."""
    rng = np.random.default_rng([seed, 1])
    noises = [rng.standard_normal((len(x), 1, *x.shape[1:])) for x in batch.inputs]
    inputs = tuple(moved(d, x, noise, JITTER)[:, 0] for d, x, noise in zip(rule.domains.values(), batch.inputs, noises, strict=True))
    together = zip(batch.neighbours, inputs, batch.inputs, strict=True)
    return replace(batch, inputs=inputs, neighbours=tuple(near + (new - old)[:, None] for near, new, old in together))


def symbols(rule: Subject) -> tuple[str, ...]:
    """Names of the sizes a rule leaves open, in order of appearance."""
    seen = dict.fromkeys(d.name for domain in rule.domains.values() for d in domain.dims if d.fixed is None)
    return tuple(seen)


def admitted(rule: Subject, sizes: Sizes) -> bool:
    """Whether all domains of the rule have points of these sizes."""
    return all(domain.admits(sizes) for domain in rule.domains.values())


def groups(rule: Subject, profile: Profile) -> list[Sizes]:
    """The sizes to look at: rising and falling (so that nothing is square by chance), all ones, all equal."""
    names = symbols(rule)
    if not names:
        return [{}]
    rising = {name: 2 + profile.apart * k for k, name in enumerate(names)}
    falling = dict(zip(names, reversed(rising.values()), strict=True))
    equal = max((e for e in range(3, profile.equal + 1) if _entries(rule, dict.fromkeys(names, e)) <= MOST_ENTRIES), default=3)
    candidates = [rising, falling, dict.fromkeys(names, 1), dict.fromkeys(names, equal)]
    if len(names) == 1:
        candidates = [{names[0]: n} for n in (3, 1, 2, max(5, equal))]
    if profile.large:
        candidates += [{name: 7 + 2 * k for k, name in enumerate(names)}, {name: 7 + 2 * (len(names) - k) for k, name in enumerate(names)}]
    chosen = _distinct(sizes for sizes in candidates if admitted(rule, sizes))
    if len(chosen) >= 2:
        return chosen
    return _distinct([*chosen, *islice(_up_to(rule, 5), 4)])[:4]  # a domain with demands of its own: tall, at least 3


def named_groups(rule: Subject) -> list[Sizes]:
    """All sizes equal to a whole number in the subject's code, to the next one, or to a length that is fixed in its domains.

    Where that makes too many entries, one size is that number and the others are 2; so it is for one, where the code names it.
    """
    fixed = [c for domain in rule.domains.values() for d in domain.dims if (c := d.fixed) is not None and c in COUNTS]
    whole = [int(c) for c in rule.constants if c in COUNTS]
    named = list(dict.fromkeys([*fixed, *whole, *(c + 1 for c in whole)]))[:MORE_SIZES]
    names = symbols(rule)

    def alone(c: int) -> list[Sizes]:
        return [dict.fromkeys(names, 2) | {name: c} for name in names]

    ones = alone(1) if 1.0 in rule.constants and len(names) > 1 else []
    wanted: list[Sizes] = []
    for c in named if names else ():
        equal = dict.fromkeys(names, c)
        wanted += [equal] if _entries(rule, equal) <= MOST_ENTRIES else alone(c)
    found = _distinct(sizes for sizes in wanted if admitted(rule, sizes))
    fitting = [sizes for sizes in found if _entries(rule, sizes) <= MOST_ENTRIES][:MORE_SIZES]
    return [*(sizes for sizes in ones if admitted(rule, sizes)), *fitting]


def _entries(rule: Subject, sizes: Sizes) -> int:
    """How many entries the largest input has."""
    return max(math.prod(domain.shape(sizes)) for domain in rule.domains.values())


def _up_to(rule: Subject, largest: int, begun: Sizes | None = None) -> Iterator[Sizes]:
    """All sizes up to the largest that the rule's domains admit, the last name's changing fastest."""
    names, begun = symbols(rule), begun or {}
    if len(begun) == len(names):
        yield begun
        return
    name = names[len(begun)]
    asked = [(domain, {d.name for d in domain.dims if d.fixed is None}) for domain in rule.domains.values()]
    for size in range(1, largest + 1):
        sizes = {**begun, name: size}
        if all(domain.admits(sizes) for domain, needs in asked if name in needs and needs <= sizes.keys()):
            yield from _up_to(rule, largest, sizes)


def empty_groups(rule: Subject) -> list[Sizes]:
    """Sizes with one of them zero, where the rule's domains allow it."""
    names = symbols(rule)
    found = ({name: 0 if name == empty else 2 for name in names} for empty in names)
    return [sizes for sizes in found if admitted(rule, sizes)]


def _distinct(groups_: Any) -> list[Sizes]:
    return list({tuple(sizes.items()): sizes for sizes in groups_}.values())


def generator(rule: Subject, seed: int, sizes: Sizes) -> np.random.Generator:
    """Random numbers that depend on the seed, the rule's name and the sizes, and on nothing else that is run beside."""
    return np.random.default_rng([seed, crc32(rule.name.encode()), *sizes.values()])


def draw(rule: Subject, sizes: Sizes, count: int, seed: int, profile: Profile) -> Batch:
    """`count` random cases of one shape, over several condition numbers and scales.

    The cotangents need the shape of the value, so the rule is called once; what it raises comes through.
    """
    rng = generator(rule, seed, sizes)

    def noises(shape: tuple[int, ...], *more: int) -> NDArray[np.float64]:
        return rng.standard_normal((count, *more, *shape))

    points = []
    for name, domain in rule.domains.items():
        raw = noises(domain.shape(sizes))
        spread = [SPREADS[k % len(SPREADS)] for k in range(count)]
        scales = SCALES if name in rule.differentiated else (1.0,)
        scale = [scales[(k // len(SPREADS)) % len(scales)] for k in range(count)]
        points.append(np.stack([_point(domain, raw[k] * scale[k], spread[k]) for k in range(count)]))
    tangent_noise = tuple(noises(rule.domains[name].shape(sizes), profile.probes) for name in rule.differentiated)
    neighbour_noise = tuple(noises(domain.shape(sizes), profile.perturbations) for domain in rule.domains.values())
    shapes = _value_shapes(rule, tuple(p[0] for p in points))
    cotangents = tuple(noises(shape, profile.probes) for shape in shapes)
    return assemble(rule, sizes, tuple(points), tangent_noise, cotangents, neighbour_noise, differenced=profile.differenced)


def assemble(
    rule: Subject,
    sizes: Sizes,
    points: Arrays,
    tangent_noise: Arrays,
    cotangents: Arrays,
    neighbour_noise: Arrays,
    *,
    differenced: int = 10**9,
) -> Batch:
    """A batch of given points: tangents are the noise, projected on the tangent spaces and brought to the size of the point.

    The reach is worked out at the first `differenced` cases.
    """
    names = tuple(rule.domains)
    free = tuple(names.index(name) for name in rule.differentiated)
    tangents = []
    for i, noise in zip(free, tangent_noise, strict=True):
        size = _rms(points[i]).reshape(-1, *(1,) * (noise.ndim - 1))
        tangents.append(tangential(rule.domains[names[i]], points[i], noise) * np.where(size > 0, size, 1.0))
    reach = np.full(tangents[0].shape[:2], np.nan)
    neighbours = tuple(moved(d, x, n, PERTURBATION) for d, x, n in zip(rule.domains.values(), points, neighbour_noise, strict=True))
    return reached(rule, Batch(sizes, names, free, points, tuple(tangents), cotangents, neighbours, reach), differenced)


def reached(rule: Subject, batch: Batch, count: int = 10**9) -> Batch:
    """The same batch with its reach worked out at the first `count` cases at least."""
    reach = batch.reach.copy()
    domains = [rule.domains[batch.names[i]] for i in batch.free]
    for case, probe in np.argwhere(np.isnan(reach[:count])):
        at = zip(domains, batch.free, batch.tangents, strict=True)
        reach[case, probe] = min(domain.reach(batch.inputs[i][case], t[case, probe]) for domain, i, t in at)
    return replace(batch, reach=reach)


def _value_shapes(rule: Subject, inputs: Sequence[Any]) -> tuple[tuple[int, ...], ...]:
    return tuple(np.shape(part) for part in parts(rule.value(*inputs)))


def _point(domain: Any, noise: Any, spread: float) -> NDArray[np.float64]:
    return _array(domain.point(noise, spread))


def _array(x: Any) -> NDArray[np.float64]:
    return np.asarray(x, dtype=np.float64)


def _rms(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Size of a typical entry at each case."""
    entries = x.reshape(len(x), -1)
    return np.sqrt(np.mean(entries**2, axis=1)) if x.size else np.zeros(len(x))


def strategy(rule: Subject, *, largest: int = 4, probes: int = 2) -> SearchStrategy[Batch]:
    """Single cases for Hypothesis: sizes, points, tangents and cotangents are drawn, and shrink towards small and simple ones."""
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp

    choices = list(islice(_up_to(rule, largest), MOST_SIZES + 1))
    if len(choices) > MOST_SIZES:  # their number grows exponentially with the number of names
        choices = groups(rule, PROFILES["quick"])
    if not choices:
        raise ValueError(f"{rule.name} has no point of any size up to {largest}; its domains contradict each other")
    choices.sort(key=lambda sizes: sum(sizes.values()))
    entries = st.integers(-24, 24).map(lambda k: k / 8)
    seen: dict[tuple[int, ...], tuple[tuple[int, ...], ...]] = {}  # the value's shapes at each size; somebody's function may be slow

    @st.composite
    def cases(pick: Any) -> Batch:
        sizes = pick(st.sampled_from(choices))

        def noise(shape: tuple[int, ...], *more: int) -> NDArray[np.float64]:
            return pick(hnp.arrays(np.float64, (1, *more, *shape), elements=entries))

        domains = rule.domains
        points = tuple(_point(d, noise(d.shape(sizes))[0], 1.0)[None] for d in domains.values())
        tangents = tuple(noise(domains[name].shape(sizes), probes) for name in rule.differentiated)
        key = tuple(sizes.values())
        if key not in seen:
            seen[key] = _value_shapes(rule, tuple(p[0] for p in points))
        cotangents = tuple(noise(shape, probes) for shape in seen[key])
        fixed = np.random.default_rng(0)
        neighbours = tuple(fixed.standard_normal((1, 3, *p.shape[1:])) for p in points)
        return assemble(rule, sizes, points, tangents, cotangents, neighbours)

    return cases()
