"""Points at which somebody's code takes a branch that it takes nowhere else.

What is wrong only where a residual is exactly zero, beyond an entry of 1000, or where two entries are a hair apart no random point
shows. Such a mistake stands in a branch, and a branch has a comparison: Newton's method goes from a few points to where a comparison
comes out as it has not at any point before.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from textwrap import shorten
from typing import TYPE_CHECKING

import numpy as np

from matcalc.array import parts
from matcalc.cases import generator
from matcalc.domain import Near
from matcalc.oracle import branching
from matcalc.property import everything
from matcalc.special.places import Place, as_floats

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from matcalc.domain import Sizes
    from matcalc.oracle.branching import Gaps, Site
    from matcalc.rule import Subject

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

DRAWN = 12
"Random points from which the search starts, and as many whose entries are multiples of a half."
STARTS = 3
"Of either kind, how many the search for one outcome starts from: a mistake may ask for something else besides."
STEP = 2.0**-10
ROUNDS = 12
"Steps of Newton's method at most."
SHORTER = np.array([1.0, 0.3, 0.05])
"Of each step parts are tried too, and the best is taken."
CLOSEST = 2
"Entries that are brought to another outcome: those closest to it."
BEYOND = np.array([0.3, 0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6])
"Parts of the way by which the search goes on, or stops before, so as not to stop on the border."
BESIDE = np.array([1e-2, 3e-4, 1e-5])
"Parts of what is typically compared by which it goes on, and stops before, at a border that has been crossed before."
FARTHEST = 1e4
NARROWEST = 1e-7
"What is narrower keeps a denominator from zero, and no entries of anybody's are as close by chance."
ROOM = 0.1
"Part of the way to the border that differences may go."
DIGITS = 6
"Beside what Newton's method finds stands the number with so few digits: equality is met by exact numbers only."
LINE = 80
"Characters of a line of code that are shown."
TOGETHER = 60
"Entries of a comparison that are brought to one outcome together, at most."
MOST, MOST_POINTS = 12, 4000
"Outcomes that are sought, and points at which code is asked for that where it must be asked one by one."


@dataclass(frozen=True)
class Outcome:
    """What a comparison may say: of some entry, or of all of them, that it is true (equal; the left side is less) or that it is not."""

    site: Site
    true: bool
    of_all: bool

    def agrees(self, gaps: Floats) -> Bools:
        """Which entries do; those that are nan do not."""
        said = (gaps == 0) if self.site.kind == "equality" else (gaps < 0)
        return (said == self.true) & np.isfinite(gaps)

    def reached(self, gaps: Floats) -> Bools:
        """At which points it is said."""
        agrees, there = self.agrees(gaps), np.isfinite(gaps)
        found = np.asarray(agrees.any(axis=1))
        return found & np.all(agrees | ~there, axis=1) if self.of_all else found


def sought(subject: Subject, sizes: Sizes, seed: int) -> list[Place]:
    """Places at which some comparison in the subject's code comes out as it does at none of a few random points.

    Special points at which it does may be too special: where everything is zero, half of nothing is nothing too.
    """
    if 0 in sizes.values():
        return []
    rng = generator(subject, seed + 2, sizes)
    noises = rng.standard_normal((2 * DRAWN, sum(int(np.prod(domain.shape(sizes))) for domain in subject.domains.values())))
    noises[DRAWN:] = np.round(2 * noises[DRAWN:]) / 2
    code = _Code.of(subject, sizes, noises[0], rng)
    if code is None or not code.at(noises[:2]):  # most code compares nothing
        return []
    drawn = code.at(noises)
    new = [outcome for outcome in _outcomes(drawn) if not outcome.reached(drawn[outcome.site][:DRAWN]).any()]
    rare = {outcome.site for outcome in new if not outcome.of_all}
    borders = [site for site in drawn if site.kind == "ranks" or (site.kind == "order" and site not in rare)]
    reached = [(outcome.site, "a branch of its own", _ways(code, outcome, noises, drawn[outcome.site])) for outcome in new[:MOST]]
    close = [(site, "close to another branch", _beside(code, site, noises, drawn[site])) for site in borders[:MOST]]
    found: dict[bytes, Place] = {}
    for site, kind, ways in (*reached, *close):
        line = shorten(site.line, LINE, placeholder=" ...")
        named = f"{kind} at `{line}`" if line else kind
        for noise, room in ways:  # a point may lead to several comparisons: that of max and that of min
            found.setdefault(noise.tobytes(), Place("", named, sizes, code.point(noise), room))
    return list(found.values())


def _outcomes(gaps: Gaps) -> Iterator[Outcome]:
    """What may be sought: that entries are equal, or on either side; first of some entry, then of all."""
    for of_all in (False, True):
        for site, found in gaps.items():
            if site.kind != "ranks" and (not of_all or 1 < found.shape[1] <= TOGETHER):
                yield from (Outcome(site, true, of_all) for true in ((True,) if site.kind == "equality" else (True, False)))


@dataclass
class _Code:
    """Somebody's code at points of one shape, which are vectors of the noise that the domains make them of."""

    subject: Subject
    shapes: list[tuple[int, ...]]
    ends: NDArray[np.int64]
    "Where the noise of each input begins, and the last one's ends."
    blocks: list[NDArray[np.int64]]
    "The entries of each input that can be moved."
    directions: list[Floats]
    traceable: bool
    "Whether JAX may trace it, as far as anybody has seen."
    asked: int = 0
    "At how many points the code was run, one by one."
    stencils: dict[bytes, Gaps] = field(default_factory=dict[bytes, "Gaps"])

    @classmethod
    def of(cls, subject: Subject, sizes: Sizes, noise: Floats, rng: np.random.Generator) -> _Code | None:
        """The code, to be asked for value, jvp and vjp along the same directions everywhere; None if no input can be moved."""
        shapes = [domain.shape(sizes) for domain in subject.domains.values()]
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
        moves = [not (domain.discrete or isinstance(domain, Near)) for domain in subject.domains.values()]  # nobody asks far from an array
        blocks = [np.arange(a, b) for a, b, moved in zip(ends, ends[1:], moves, strict=False) if moved and b > a]
        code = cls(subject, shapes, ends, blocks, [], subject.mapped)
        free = [shape for name, shape in zip(subject.domains, shapes, strict=True) if name in subject.differentiated]
        with suppress(Exception):  # of somebody's function; the survey tells of it
            of_value = [np.shape(v) for v in parts(subject.value(*code.point(noise)))]
            return replace(code, directions=[rng.standard_normal(shape) for shape in (*free, *of_value)]) if blocks else None
        return None

    def point(self, noise: Floats) -> tuple[Floats, ...]:
        """The inputs made of the noise of one point."""
        return tuple(x[0] for x in self.points(noise[None]))

    def points(self, noises: Floats) -> list[Floats]:
        """The points made of noises (points, entries): an array for each input, stacked."""
        blocks = [noises[:, a:b].reshape(-1, *shape) for a, b, shape in zip(self.ends, self.ends[1:], self.shapes, strict=False)]
        made = zip(self.subject.domains.values(), blocks, strict=True)
        return [np.stack([as_floats(domain.point(noise)) for noise in block]) for domain, block in made]

    def at(self, noises: Floats) -> Gaps:
        """What is compared at the points made of noises; nothing if it cannot be seen, or they are so large that there is no point."""
        try:
            points = self.points(noises)
        except np.linalg.LinAlgError:
            return {}
        given = [*points, *(np.broadcast_to(v, (len(noises), *v.shape)) for v in self.directions)]
        if self.traceable:
            try:
                return branching.traced(everything(self.subject), given)
            except Exception:  # noqa: BLE001  (JAX cannot trace it, here as elsewhere)
                self.traceable = False
        self.asked += len(noises)
        return branching.watched(everything(self.subject), given)

    def gap(self, site: Site, width: int, noises: Floats) -> Floats:
        """What is compared at one site: (points, width), nan where it is not."""
        return _of_width(self.at(noises), site, (len(noises), width))

    def slopes(self, site: Site, here: Floats, origin: Floats) -> Floats:
        """How what is compared at one site moves with each entry of the noise: (entries, width)."""
        movable = np.concatenate(self.blocks)
        if here.tobytes() not in self.stencils:  # what is compared elsewhere will be asked for too
            self.stencils[here.tobytes()] = self.at(here + STEP * np.eye(len(here))[movable])
        found = np.zeros((len(here), len(origin)))
        found[movable] = _of_width(self.stencils[here.tobytes()], site, (len(movable), len(origin))) - origin
        return np.nan_to_num(found / STEP, posinf=0.0, neginf=0.0)


def _of_width(gaps: Gaps, site: Site, shape: tuple[int, int]) -> Floats:
    """What is compared at one site, filled up with nan."""
    found = gaps.get(site, np.empty((shape[0], 0)))[:, : shape[1]]
    return np.pad(found, ((0, 0), (0, shape[1] - found.shape[1])), constant_values=np.nan)


def _ways(code: _Code, outcome: Outcome, noises: Floats, gaps: Floats) -> list[tuple[Floats, float]]:
    """Noises of points at which an outcome is reached, and how much room there is to each side.

    They are sought from the closest of the random points, those with short numbers apart from the others.
    """
    found = [(noises[k], np.inf) for k in np.flatnonzero(outcome.reached(gaps))[:STARTS]]  # of those with short numbers
    far = _far(gaps, of_all=outcome.of_all)
    for half in (np.arange(DRAWN), np.arange(DRAWN, 2 * DRAWN)):
        for k in half[np.argsort(far[half], kind="stable")][:STARTS]:
            found += _from(code, outcome, noises[k], gaps[k]) if np.isfinite(far[k]) and code.asked < MOST_POINTS else []
    return found


def _far(gaps: Floats, *, of_all: bool) -> Floats:
    """How far from another outcome points are: with their closest entry, or with all; infinitely far where it is not known."""
    size = np.abs(gaps).max(axis=1) if of_all else np.nanmin(np.abs(gaps), axis=1, initial=np.inf)
    return np.where(np.isfinite(size), size, np.inf)


def _beside(code: _Code, site: Site, noises: Floats, gaps: Floats) -> list[tuple[Floats, float]]:
    """The same on both sides of where one entry is compared otherwise: what is taken for the border may be a little off.

    Of ranks every border is tried: which of them decides is not known.
    """
    found: list[tuple[Floats, float]] = []
    distances = np.where(np.isfinite(gaps[:DRAWN]), np.abs(gaps[:DRAWN]), np.inf)
    ranked = site.kind == "ranks"
    entries = range(min(gaps.shape[1], MOST)) if ranked else [int(np.argmin(distances.min(axis=0)))]
    starts = [(entry, k) for entry in entries for k in np.argsort(distances[:, entry], kind="stable")[: 2 if ranked else 1]]
    for entry, start in starts:
        here, origin = noises[start], gaps[start]
        if not np.isfinite(origin[entry]) or code.asked > MOST_POINTS:
            continue
        slopes = code.slopes(site, here, origin)[:, entry]
        if not slopes.any():
            continue
        (way,) = _roots(code, site, here, origin, _inverse(slopes, len(origin), entry)[None]) - here
        if not (size := np.abs(way).max()):
            continue
        offsets = np.clip(BESIDE * np.nanmedian(np.abs(gaps)) * size / abs(origin[entry]), 10 * NARROWEST, 1.0)
        ends = here + way + np.concatenate([offsets, -offsets])[:, None] * way / size
        beyond, before = np.split(code.gap(site, len(origin), ends)[:, entry] < 0, 2)
        rooms = np.tile(ROOM * offsets, 2) / np.maximum(1.0, np.abs(ends).max(axis=1))
        crossed = np.tile((beyond != before) | ranked, 2)
        found += [(end, float(room)) for end, room, crosses in zip(ends, rooms, crossed, strict=True) if crosses]
    return found


def _from(code: _Code, outcome: Outcome, here: Floats, origin: Floats) -> list[tuple[Floats, float]]:
    """The same from one point: the way with the most room."""
    width, slopes = len(origin), code.slopes(outcome.site, here, origin)
    inverses = list(_jointly(outcome, origin, slopes) if outcome.of_all else _singly(code, origin, slopes))
    if not inverses:
        return []
    ways = _roots(code, outcome.site, here, origin, np.array(inverses)) - here
    ends = here + np.concatenate([np.ones(1), 1 + BEYOND, 1 - BEYOND])[:, None] * ways[:, None]
    ends = np.concatenate([ends, np.round(ends[:, :1], DIGITS)], axis=1)
    there = outcome.reached(code.gap(outcome.site, width, ends.reshape(-1, len(here)))).reshape(ends.shape[:2])
    found = []
    for way, points, hits in zip(ways, ends, there, strict=True):
        if outcome.site.kind == "equality":
            found += [(points[k], np.inf) for k in (0, -1) if hits[k]][:1]
            continue
        for side in (1, 1 + len(BEYOND)):
            beyond = np.flatnonzero(hits[side : side + len(BEYOND)])[:2]  # not the farthest, which may be close to the other border
            if beyond.size and (room := BEYOND[beyond[-1]] * np.abs(way).max()) >= NARROWEST:
                found.append((points[side + beyond[-1]], ROOM * room / max(1.0, np.abs(points[side + beyond[-1]]).max())))
    return sorted(found, key=lambda way: -way[1])[:1]


def _singly(code: _Code, origin: Floats, slopes: Floats) -> Iterator[Floats]:
    """Inverses of a Jacobian that bring one entry to zero: by one entry of each input, the nearest, and by all entries together."""
    steep = np.isfinite(origin) & np.any(slopes, axis=0)
    for k in [k for k in np.argsort(np.abs(origin), kind="stable") if steep[k]][:CLOSEST]:
        nearest = [block[np.argmax(np.abs(slopes[block, k]))] for block in code.blocks]
        for moved in [*np.eye(len(slopes))[nearest], np.ones(len(slopes))]:
            along = moved * slopes[:, k]
            if along.any():
                yield _inverse(along, slopes.shape[1], k)


def _inverse(along: Floats, width: int, entry: int) -> Floats:
    """The inverse of a Jacobian that brings one entry to zero, by moves in proportion to how it moves along each entry of the noise."""
    found = np.zeros((len(along), width))
    found[:, entry] = along / np.sum(np.square(along))
    return found


def _jointly(outcome: Outcome, origin: Floats, slopes: Floats) -> Iterator[Floats]:
    """The inverse of a Jacobian that brings all entries to zero of which the outcome does not hold."""
    against = np.isfinite(origin) & ~outcome.agrees(origin)
    if against.any() and np.any(slopes[:, against]):
        inverse = np.zeros(slopes.shape)
        with suppress(np.linalg.LinAlgError):  # of slopes as large as numbers can be
            inverse[:, against] = np.linalg.pinv(slopes[:, against].T)
        yield inverse


def _roots(code: _Code, site: Site, here: Floats, origin: Floats, inverses: Floats) -> Floats:
    """Where Newton's method ends, the inverse of the Jacobian kept up to date as in Broyden's: for one entry that is the secant method."""
    ends = np.broadcast_to(here, (len(inverses), len(here)))
    gaps = np.broadcast_to(np.nan_to_num(origin), (len(inverses), len(origin)))
    targets = np.any(inverses, axis=1)
    for _ in range(ROUNDS):
        steps = -np.einsum("wik,wk->wi", inverses, gaps)
        tried = np.clip(np.nan_to_num(ends[:, None] + SHORTER[:, None] * steps[:, None]), -FARTHEST, FARTHEST)
        there = code.gap(site, len(origin), tried.reshape(-1, len(here))).reshape(*tried.shape[:2], -1)
        size = np.where(targets[:, None], np.where(np.isfinite(there), np.abs(there), np.inf), 0.0)
        best = np.argmin(np.sum(size, axis=2), axis=1)[:, None, None]
        moved, now = (np.take_along_axis(x, best, axis=1)[:, 0] for x in (tried, np.nan_to_num(there)))
        steps, change = moved - ends, now - gaps
        if not steps.any():
            break
        across = np.einsum("wi,wik->wk", steps, inverses)
        along = np.einsum("wk,wk->w", across, change)
        missed = steps - np.einsum("wik,wk->wi", inverses, change)
        update = missed[:, :, None] * across[:, None, :] / np.where(along == 0, np.inf, along)[:, None, None]
        inverses, ends, gaps = np.nan_to_num(inverses + update), moved, now
    return ends
