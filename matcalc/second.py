"""Second order: what comes out when the hand-written vjp is itself differentiated.

A vjp may be right at every point and still have a wrong derivative in the eyes of autodiff: a constant computed outside, a stopped
gradient, a `where` that hides a term. Whoever differentiates twice (Newton, Hessian-vector products, a gradient inside a loss)
meets it. With a cotangent u and a tangent v, the rule's Hessian-vector product is JAX's forward derivative of its vjp(u) along v.
It is compared with JAX's forward over reverse of the function alone and with differences of the vjp on NumPy, and the Hessian
must be symmetric.

Only what is intrinsic is compared: the gradient is projected on the domain's tangent space before it is differentiated along a
tangent (on a curved domain that is the Riemannian Hessian), because functions that agree on a domain need not agree beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from matcalc.array import as_array, parts
from matcalc.cases import EPSILON, PROFILES, Batch, assemble, draw, generator, groups, nearby
from matcalc.oracle import autodiff, differences
from matcalc.property import Compared, Comparison, Measure, Tally, compare, first_line, noise, norms, second_look
from matcalc.rule import unclaimed
from matcalc.verdict import Evidence, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from matcalc.rule import Subject

    Floats = NDArray[np.float64]
    Arrays = tuple[Floats, ...]
    Gradient = Callable[[Sequence[Any], Sequence[Any]], tuple[Any, ...]]

CASES = 6
TRUST = 10.0
"Units of its own error estimate that a difference of the vjp may be wrong by."


def batches(rule: Subject, *, seed: int = 0, shapes: int = 1) -> list[Batch]:
    """Cases for `order`: a few random ones of each shape, and the point that the domains make of zero noise.

    That last one is special on purpose: zeros where zeros are allowed, equal entries where they are. What the rule raises when
    it is called comes through.
    """
    profile = PROFILES["quick"]
    found: list[Batch] = []
    for sizes in groups(rule, profile)[:shapes]:
        batch = draw(rule, sizes, CASES, seed, profile)
        noises = [np.zeros(domain.shape(sizes)) for domain in rule.domains.values()]
        plain = [domain.point(z) for domain, z in zip(rule.domains.values(), noises, strict=True)]
        points = tuple(np.concatenate([x[:-1], np.asarray(z)[None]]) for x, z in zip(batch.inputs, plain, strict=True))
        rng = generator(rule, seed + 1, sizes)
        tangents = tuple(rng.standard_normal(t.shape) for t in batch.tangents)
        moves = tuple(rng.standard_normal(x.shape) for x in batch.neighbours)
        found.append(assemble(rule, sizes, points, tangents, batch.cotangents, moves))
    return found


def order(rule: Subject, batches_: Sequence[Batch]) -> list[Evidence]:
    """Evidence of the property "second": beside "JAX", beside "finite differences" (of the vjp), and symmetry beside "itself".

    No evidence for a subject that claims no vjp. Never raises for a bad rule. What cannot be judged, because JAX cannot
    differentiate it, is inconclusive, with the reason.
    """
    if not batches_ or rule.function(*batches_[0].point(0)).vjp is unclaimed:
        return []
    found = _order(rule, batches_, careful=False)
    if all(e.status is not Status.REFUTED for e in found):
        return found
    careful = _order(rule, batches_, careful=True)  # whoever trusts JAX's own settings must not be accused because of ours
    if any(e.status is Status.REFUTED for e in careful):
        return careful
    note = f"the derivative of the vjp of {rule.name} hangs on rounding: compiled otherwise it is wrong"
    return [replace(e, note=e.note or note) for e in careful]


def _order(rule: Subject, batches_: Sequence[Batch], *, careful: bool) -> list[Evidence]:
    tallies = {oracle: Tally("second", oracle) for oracle in ("JAX", "finite differences", "itself")}
    twice = _Twice(rule, careful=careful)
    for batch in batches_:
        try:
            seen = twice.look(batch)
            compared = second_look(_compare_all(seen), partial(_again, twice, batch))
        except autodiff.CannotTraceError as error:
            for tally in tallies.values():
                tally.note = f"JAX cannot differentiate the vjp of {rule.name}: {error}"
            continue
        except Exception as error:  # noqa: BLE001  (a rule may raise anything)
            note = f"the vjp of {rule.name} raises {type(error).__name__} near a case: {first_line(error)}"
            return [Evidence("second", "itself", Status.REFUTED, 1, note=note)]
        for oracle, arrays in compared.items():
            tallies[oracle].add(batch, arrays, where=seen.smooth)
        tallies["JAX"].note = seen.note or tallies["JAX"].note
    cases = sum(batch.count for batch in batches_)
    return [_weighed(rule, tally, cases) for tally in tallies.values()]


def _again(twice: _Twice, batch: Batch, seed: int) -> Compared:
    """The comparisons at points nearby."""
    return _compare_all(twice.look(nearby(twice.rule, batch, seed)))


# --- asking --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """Hessian-vector products at the cases of one batch. Axes: case, place, probe, then the input's own."""

    batch: Batch
    mine: Arrays
    theirs: Arrays  # JAX's own, of the function alone; nan where there are none
    found: tuple[differences.Difference, ...]  # of the vjp on NumPy, along the first tangent
    measures: tuple[Measure, ...]
    note: str

    @property
    def smooth(self) -> NDArray[np.bool_]:
        """At which cases the gradient has a derivative."""
        return ~np.any([d.kink for d in self.found], axis=(0, 2))


class _Twice:
    """The gradients of one rule and the programs that differentiate them, compiled once for each shape."""

    def __init__(self, rule: Subject, *, careful: bool) -> None:
        names = tuple(rule.domains)
        free = tuple(names.index(name) for name in rule.differentiated)
        domains = [rule.domains[name] for name in rule.differentiated]

        def projected(gradient: Gradient) -> Gradient:
            def on_tangent_space(inputs: Sequence[Any], cotangents: Sequence[Any]) -> tuple[Any, ...]:
                found = zip(domains, free, gradient(inputs, cotangents), strict=True)
                return tuple(domain.tangent(inputs[i], as_array(g)) for domain, i, g in found)

            return on_tangent_space

        self.rule = rule
        self.hand = projected(lambda inputs, cotangents: parts(rule.function(*inputs).vjp(*cotangents)))
        self.alone = autodiff.pushing((self.hand,), free, careful=careful)
        self.both = autodiff.pushing((self.hand, projected(autodiff.reverse(rule.value, free))), free, careful=careful)

    def look(self, batch: Batch) -> Seen:
        """What rule, JAX and differences say at the cases of one batch.

        Raises CannotTraceError if JAX cannot differentiate the vjp; what the rule raises comes through.
        """
        arrays = batch.inputs, batch.neighbours, batch.tangents, tuple(u[:, 0] for u in batch.cotangents)
        note = ""
        try:
            (gradient, mine), (_, theirs) = self.both(*arrays)
        except autodiff.CannotTraceError as error:
            ((gradient, mine),) = self.alone(*arrays)
            theirs = tuple(np.full_like(x, np.nan) for x in mine)
            note = f"JAX cannot differentiate {self.rule.name} twice: {error}"
        expected = _expected_sizes(self.rule, batch)
        measures = _measures(batch, gradient, expected, mine, theirs)
        return Seen(batch, mine, theirs, self._differences(batch, gradient, expected), measures, note)

    def _differences(self, batch: Batch, gradient: Arrays, expected: Sequence[Floats]) -> tuple[differences.Difference, ...]:
        """Differences of the hand-written vjp along the first tangent of each case; without JAX, if the rule can do without."""
        h = differences.steps(batch.reach[:, :1])
        offsets = np.concatenate([0 * h[:, 0, 0, :1], differences.offsets(h)[:, 0]], axis=1)
        points = [np.repeat(x[:, None], offsets.shape[1], axis=1) for x in batch.inputs]
        for i, tangent in zip(batch.free, batch.tangents, strict=True):
            points[i] = points[i] + offsets.reshape(*offsets.shape, *(1,) * (points[i].ndim - 2)) * tangent[:, :1]
        cotangents = [np.repeat(u[:, :1], offsets.shape[1], axis=1) for u in batch.cotangents]
        flat = [x.reshape(-1, *x.shape[2:]) for x in (*points, *cotangents)]
        answers = autodiff.run(self._at, flat) if self.rule.mapped else [np.stack(g) for g in zip(*map(self._at, *flat), strict=True)]
        found = []
        for answer, near, size in zip(answers, gradient, expected, strict=True):
            values = answer.reshape(*offsets.shape, *answer.shape[1:])[:, None]
            moves = np.maximum(noise(near[:, :, 0], 2)[:, None], EPSILON * size)
            found.append(differences.extrapolate(values[:, :, 1:], values[:, :, 0], h, moves))
        return tuple(found)

    def _at(self, *arrays: Any) -> tuple[Any, ...]:
        """The projected vjp as one function of inputs and cotangents."""
        count = len(self.rule.domains)
        return self.hand(arrays[:count], arrays[count:])


def _expected_sizes(rule: Subject, batch: Batch) -> list[Floats]:
    """The size that a gradient of such a function at such a point has as a rule, for each free input: (cases, 1)."""
    weights = [norms(u[:, :1]) for u in batch.cotangents]
    values = zip(*(parts(rule.value(*batch.point(k))) for k in range(batch.count)), strict=True)
    paired = np.sqrt(np.sum([(w * _lengths(v)) ** 2 for w, v in zip(weights, values, strict=True)], axis=0))
    return [paired / _nonzero(_lengths(batch.inputs[i])) for i in batch.free]


def _measures(batch: Batch, gradient: Arrays, expected: Sequence[Floats], mine: Arrays, theirs: Arrays) -> tuple[Measure, ...]:
    """How large a Hessian-vector product is and how well it can be known, by JAX's own where there is one."""
    speeds, sizes = [norms(t) for t in batch.tangents], [_nonzero(_lengths(batch.inputs[i])) for i in batch.free]
    speed = np.sqrt(np.sum(np.square(speeds), axis=0))
    relative = np.max([s / size for s, size in zip(speeds, sizes, strict=True)], axis=0)
    measures = []
    for own, jaxs, g, least in zip(mine, theirs, gradient, expected, strict=True):
        known = np.isfinite(norms(jaxs, 1)).reshape(-1, *(1,) * (jaxs.ndim - 1))
        product = np.where(known, jaxs, own)
        found = (norms(product[:, 0]), noise(product, 3))
        scale, moves = (np.max(x / _nonzero(speed), axis=1, keepdims=True) * speed for x in found)
        measures.append(Measure(scale, moves, np.fmax(least, norms(g[:, 0])) * relative))
    return tuple(measures)


def _nonzero(sizes: Floats) -> Floats:
    return np.where(sizes > 0, sizes, 1.0)


def _lengths(arrays: Iterable[Any]) -> Floats:
    """The norm of each case's array, with an axis for the probe."""
    return np.array([float(np.linalg.norm(x)) for x in arrays])[:, None]


# --- weighing ------------------------------------------------------------------------------------------------------------------


def _compare_all(seen: Seen) -> Compared:
    """The rule's products beside every oracle.

    JAX has no say at a case where it differs from the differences of the vjp and the rule does not: it is the odd one out there.
    """
    first = [replace(m[:, :1], scale=np.fmax(m.scale[:, :1], norms(d.value))) for m, d in zip(seen.measures, seen.found, strict=True)]
    mine, theirs = [x[:, 0] for x in seen.mine], [x[:, 0] for x in seen.theirs]

    def differ(products: Sequence[Floats]) -> list[Comparison]:
        return [compare(x[:, :1], d.value, m, TRUST * d.error) for x, d, m in zip(products, seen.found, first, strict=True)]

    beside_differences = differ(mine)
    sound = np.all([c.usable & (c.margin <= 1) for c in beside_differences], axis=0)
    odd = sound & np.any([c.margin > 1 for c in differ(theirs)], axis=0)
    beside_jax = [compare(x, y, m) for x, y, m in zip(mine, theirs, seen.measures, strict=True)]
    return {
        "JAX": [replace(c, usable=c.usable & ~odd) for c in beside_jax],
        "finite differences": beside_differences,
        "itself": [_symmetry(seen, mine)],
    }


def _symmetry(seen: Seen, mine: Sequence[Floats]) -> Comparison:
    """<w, H v> = <v, H w> for the first two tangents."""

    def pairing(w: int, v: int) -> Floats:
        found = zip(seen.batch.tangents, mine, strict=True)
        return np.sum([np.sum(t[:, w] * product[:, v], axis=tuple(range(1, product.ndim - 1))) for t, product in found], axis=0)[:, None]

    def size(field: str) -> Floats:
        found = zip(seen.batch.tangents, seen.measures, strict=True)
        return np.sum([norms(t)[:, [1, 0]] * getattr(m, field)[:, :2] for t, m in found], axis=(0, 2))[:, None]

    return compare(pairing(1, 0), pairing(0, 1), Measure(size("scale"), size("noise"), size("natural")))


def _weighed(rule: Subject, tally: Tally, cases: int) -> Evidence:
    """The tally as evidence, with a sentence where something is wrong."""
    if not tally.cases:
        return Evidence("second", tally.oracle, Status.INCONCLUSIVE if cases else Status.VACUOUS, 0, skipped=cases, note=tally.note)
    evidence = tally.evidence()
    if evidence.status is not Status.REFUTED:
        return evidence
    if tally.oracle == "itself":
        meaning = f"the Hessian that the vjp of {rule.name} implies is not symmetric"
    else:
        other = "JAX gives for the function" if tally.oracle == "JAX" else "differences of that vjp give"
        meaning = f"the derivative that JAX takes of the vjp of {rule.name} is not what {other}"
    if not np.isfinite(evidence.worst_error):
        return replace(evidence, note=f"{meaning}: it is nan or inf where that is a number")
    relative = evidence.worst_error / evidence.scale if evidence.scale else np.inf
    sizes = f"relative error {relative:.1e}, {evidence.margin:.1e} times the tolerance, over {evidence.cases} cases"
    return replace(evidence, note=f"{meaning}: {sizes}")
