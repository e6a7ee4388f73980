"""Digits: what a rule keeps in shorter floating-point formats, beside what its condition number allows.

The rule is run in float32 at inputs that are float32 numbers, and compared with itself in double precision at the same inputs,
which the other oracles have verified. A stable algorithm is wrong by a few units of condition * epsilon * scale, where condition is
measured: how far the double-precision answer moves when everything that comes in moves by one unit in the last place of float32.
Places are sought where poor algorithms lose more: large entries, entries far from zero but close to each other, small ones.
JAX's own derivative of the same function, in the same format at the same inputs, stands beside it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from matcalc.array import as_array, parts
from matcalc.cases import PROFILES, generator, groups, moved, tangential
from matcalc.oracle import autodiff
from matcalc.property import everything, first_line, norms
from matcalc.rule import unclaimed
from matcalc.verdict import Digits, Evidence, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from matcalc.domain import Domain, Sizes
    from matcalc.rule import Subject

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]


class Place(NamedTuple):
    """Where to look: a condition number to ask for, and the noise that the domains shape into points.

    `bound` is how many units of condition * epsilon * scale no correct rule loses there, as measured on the catalogue.
    """

    words: str
    spread: float = 1.0
    factor: float = 1.0
    shift: float = 0.0
    bound: float = 1e7  # no digit is right although the condition number leaves some; unstable formulas lose up to 3e5


PLACES = (
    Place("ordinary entries", bound=1e3),  # the catalogue loses 10, but for one unstable formula, which loses 256
    Place("ordinary entries", bound=1e3),
    Place("entries of size 4", factor=4.0, bound=1e3),
    Place("condition number 100", spread=1e2),
    Place("condition number 10000", spread=1e4),
    Place("small entries", factor=1e-3),
    Place("entries of size 100", factor=100.0),
    Place("entries near 4", factor=0.5, shift=4.0),
    Place("entries near -4", factor=0.5, shift=-4.0),
    Place("entries near 100", shift=100.0),
    Place("entries near 1000", shift=1000.0),
    Place("entries near -1000", shift=-1000.0),
)
EPSILON = {"float32": 2.0**-23, "bfloat16": 2.0**-7}
NEIGHBOURS = 6
STEP = 8.0
"Relative size, in units of epsilon, of the moves by which the condition number is measured."
FLAGGED = 100.0
"Units of condition * epsilon * scale from which a loss is worth a sentence: 19 of 20 catalogue rules lose fewer than 20 anywhere."
VANISHING = 1e-3
"A derivative so much smaller than such a derivative usually is has cancelled: no algorithm in use keeps its digits."
SMALLEST, LARGEST = 1e-30, 1e37
"Answers beyond are left out: what stands between input and answer may leave the range of float32."
FAR = 1e6
"Inputs with a larger entry than this, or none larger than its inverse, are left out for the same reason."
ROOM = 16.0
"Units of epsilon, relative to a point's size, that must lie between it and the edge of its domain."


def digits(
    rule: Subject, *, seed: int = 0, shapes: int = 1, autodiff_too: bool = True, bfloat16: bool = False
) -> tuple[list[Evidence], tuple[Digits, ...]]:
    """Evidence of the property "float32", and the digits that the vjp (the jvp, if no vjp is claimed) and JAX's own keep.

    Never raises for a bad rule. A needless loss is told in the note of evidence that stays good. Refuted is what is nan or inf
    where the answer is an ordinary number, or wrong beyond what any correct algorithm loses. bfloat16 runs on JAX; where JAX has
    no bfloat16, as in linear algebra, its digits are left out and the note says so.
    """
    evidence, kept, missing = Evidence("float32", "double precision", Status.INCONCLUSIVE, 0), [], ""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a matrix that is singular in float32 is found out about here, not announced
        for dtype in ("float32", "bfloat16") if bfloat16 else ("float32",):
            try:
                looks = [_look(rule, sizes, seed, dtype, autodiff_too=autodiff_too) for sizes in groups(rule, PROFILES["quick"])[:shapes]]
            except Exception as error:  # noqa: BLE001  (a rule may raise anything, and JAX refuses some functions in some formats)
                missing = f"{rule.name} cannot be computed in {dtype}: {first_line(error)}"
                continue
            look = _joined([look for look in looks if look is not None])
            if look is None:
                continue
            if dtype == "float32":
                evidence = _evidence(rule, look)
            kept += _digits(look, dtype)
    return [replace(evidence, note="; ".join(filter(None, (evidence.note, missing))))], tuple(kept)


# --- asking --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """Errors in one format. Axes of the arrays: what is compared (one row for each array of value, jvp, vjp), case."""

    what: tuple[str, ...]  # "the value", "the jvp", "the gradient with respect to K"
    places: tuple[Place, ...]  # one for each case
    scale: Floats
    unit: Floats  # condition * epsilon * scale
    error: Floats
    judged: Bools
    derivative: slice  # the rows whose digits are counted: those of the vjp, or of the jvp if no vjp is claimed
    autodiff: Floats | None  # the error of JAX's reverse derivative in those rows; None if it was not asked or cannot tell


def _look(rule: Subject, sizes: Sizes, seed: int, dtype: str, *, autodiff_too: bool) -> Look | None:
    """The rule in a shorter format beside itself in double precision; None if there is no case."""
    rng, epsilon = generator(rule, seed, sizes), EPSILON[dtype]
    domains = list(rule.domains.values())
    free = [k for k, name in enumerate(rule.domains) if name in rule.differentiated]
    places, points, tangents = _points(domains, free, sizes, rng, dtype)
    if not places:
        return None
    at = rule.function(*(x[0] for x in points))
    shapes = [np.shape(v) for v in parts(at.value)]
    cotangents = [_rounded(rng.standard_normal((len(places), *shape)), dtype) for shape in shapes]
    with_jvp, with_vjp = (getattr(at, word) is not unclaimed for word in ("jvp", "vjp"))
    what = ["the value"] * len(shapes) + ["the jvp"] * len(shapes) * with_jvp
    gradients = [f"the gradient with respect to {name}" for name in rule.differentiated] * with_vjp
    derivative = slice(len(what) - len(shapes) * (not with_vjp), len(what) + len(gradients))

    def projected(answers: Sequence[Any]) -> list[Floats]:
        """Answers in double precision with an axis for a probe, gradients projected on the tangent spaces."""
        found = [np.asarray(x, dtype=np.float64)[:, None] for x in answers]
        ahead = len(found) - len(free)
        return [
            tangential(domains[free[k - ahead]], points[free[k - ahead]], x) if with_vjp and k >= ahead else x for k, x in enumerate(found)
        ]

    def errors(answers: Sequence[Any], expected: Sequence[Floats]) -> Floats:
        return np.stack([norms(x - y)[:, 0] for x, y in zip(projected(answers), expected, strict=True)])

    arrays = [*points, *tangents, *cotangents]
    function, short = everything(rule), [autodiff.in_format(x, dtype) for x in arrays]
    exact = _run(rule, function, arrays)
    truth = projected(exact)
    moves = []
    for _ in range(NEIGHBOURS):
        near = [
            moved(d, x, rng.standard_normal((len(x), 1, *x.shape[1:])), STEP * epsilon)[:, 0] for d, x in zip(domains, points, strict=True)
        ]
        near += [x * (1 + STEP * epsilon * rng.standard_normal(x.shape)) for x in (*tangents, *cotangents)]
        moves.append(errors(_run(rule, function, near, like=exact), truth) / STEP)
    scale = np.stack([norms(x)[:, 0] for x in truth])
    of_value, of_jvp, of_vjp = _natural(truth[: len(shapes)], [points[i] for i in free], tangents, cotangents)
    natural = np.stack([*of_value, *of_jvp * with_jvp, *of_vjp * with_vjp])
    unit = np.maximum(epsilon * scale, np.max(moves, axis=0)) + epsilon * natural
    largest = np.max([np.max(np.abs(x), axis=tuple(range(1, x.ndim)), initial=0.0) for x in truth], axis=0)
    judged = (unit <= np.sqrt(epsilon) * np.maximum(scale, natural)) & (scale >= SMALLEST) & (largest <= LARGEST)
    judged &= scale >= STEP * epsilon * np.nanmedian(scale, axis=1, keepdims=True)
    judged[len(shapes) :] &= (scale >= VANISHING * natural)[len(shapes) :]
    got = autodiff.run(function, short) if dtype == "bfloat16" else _run(rule, function, short, like=exact)
    theirs = None
    if autodiff_too and with_vjp:
        theirs = _autodiff(rule, free, short[: len(points)], short[len(points) + len(tangents) :])
    return Look(
        (*what, *gradients),
        tuple(places),
        scale,
        unit,
        errors(got, truth),
        judged,
        derivative,
        None if theirs is None else errors(theirs, truth[derivative]),
    )


def _points(
    domains: Sequence[Domain], free: Sequence[int], sizes: Sizes, rng: np.random.Generator, dtype: str
) -> tuple[list[Place], list[Floats], list[Floats]]:
    """Points and tangents that are numbers of the format, at those places where the domains have such points."""
    kept, rows = [], []
    for place in PLACES:
        noises = [rng.standard_normal(d.shape(sizes)) for d in domains]
        noises = [place.factor * z + place.shift if k in free else z for k, z in enumerate(noises)]
        directions = [rng.standard_normal(z.shape) for z in noises]
        try:
            points = [_rounded(np.asarray(d.point(z, place.spread)), dtype) for d, z in zip(domains, noises, strict=True)]
            if not all(_moderate(x) for x in points):
                continue
            tangents = [_rounded(np.asarray(domains[i].tangent(points[i], directions[i])), dtype) for i in free]
            tangents = [
                t * 2.0 ** np.floor(np.log2(np.max(np.abs(points[i]), initial=0) or 1)) for i, t in zip(free, tangents, strict=True)
            ]
            room = min(domains[i].reach(points[i], t) for i, t in zip(free, tangents, strict=True))
        except np.linalg.LinAlgError:
            continue
        if room > ROOM * EPSILON[dtype]:  # rounding has not left the domain
            kept.append(place)
            rows.append((points, tangents))
    if not kept:
        return [], [], []
    points, tangents = ([np.stack(column) for column in zip(*arrays, strict=True)] for arrays in zip(*rows, strict=True))
    return kept, points, tangents


def _moderate(x: Floats) -> bool:
    """Whether the largest entry is finite and neither huge nor tiny; zeros are."""
    largest = np.max(np.abs(x), initial=0.0)
    return bool(largest == 0 or 1 / FAR < largest < FAR)


def _rounded(x: Floats, dtype: str) -> Floats:
    return np.asarray(autodiff.in_format(x, dtype), dtype=np.float64)


def _run(rule: Subject, function: Callable[..., Any], arrays: Sequence[Any], like: Sequence[Any] | None = None) -> Sequence[Any]:
    """A function of arrays at every case; where it raises nan, in the shapes of another answer. What it raises first comes through."""
    if rule.mapped:
        return autodiff.run(function, arrays)
    rows = []
    for case in range(len(arrays[0])):
        try:
            rows.append([np.asarray(as_array(x)) for x in function(*(np.asarray(x[case]) for x in arrays))])
        except Exception:
            if like is None:
                raise
            rows.append([np.full_like(x[case], np.nan) for x in like])
    return [np.stack(column) for column in zip(*rows, strict=True)]


def _autodiff(rule: Subject, free: Sequence[int], points: Sequence[Any], cotangents: Sequence[Any]) -> Sequence[Any] | None:
    """JAX's reverse derivative in the format of what comes in; None if JAX cannot give it."""
    gradient, count = autodiff.reverse(rule.value, free), len(points)
    try:
        return autodiff.run(lambda *arrays: gradient(arrays[:count], arrays[count:]), [*points, *cotangents])
    except Exception:  # noqa: BLE001  (whatever JAX raises for a function it cannot trace, or not in this format)
        return None


def _natural(
    values: Sequence[Floats], points: Sequence[Floats], tangents: Sequence[Floats], cotangents: Sequence[Floats]
) -> tuple[list[Floats], ...]:
    """The sizes that value, jvp and vjp of such a function have as a rule: one array of cases for each of theirs."""
    sizes = [norms(x, 1) for x in points]
    sizes = [np.where(size > 0, size, 1.0) for size in sizes]
    speed = np.max([norms(t, 1) / size for t, size in zip(tangents, sizes, strict=True)], axis=0)
    lengths = [norms(v, 1) for v in values]
    paired = np.sqrt(np.sum([(norms(u, 1) * v) ** 2 for u, v in zip(cotangents, lengths, strict=True)], axis=0))
    return lengths, [v * speed for v in lengths], [paired / size for size in sizes]


# --- weighing ------------------------------------------------------------------------------------------------------------------


def _joined(looks: Sequence[Look]) -> Look | None:
    """Several shapes as one."""
    if not looks:
        return None
    scale, unit, error, judged = (
        np.concatenate(arrays, axis=1) for arrays in zip(*((k.scale, k.unit, k.error, k.judged) for k in looks), strict=True)
    )
    theirs = [look.autodiff for look in looks if look.autodiff is not None]
    return replace(
        looks[0],
        places=tuple(place for look in looks for place in look.places),
        scale=scale,
        unit=unit,
        error=error,
        judged=judged,
        autodiff=np.concatenate(theirs, axis=1) if len(theirs) == len(looks) else None,
    )


def _units(look: Look) -> Floats:
    """Errors in units of condition * epsilon * scale; infinite where there is no number, zero where nothing was judged."""
    units = np.where(np.isfinite(look.error), look.error / np.where(look.unit > 0, look.unit, 1.0), np.inf)
    return np.where(look.judged, units, 0.0)


def _evidence(rule: Subject, look: Look) -> Evidence:
    """What float32 says of a rule."""
    units, some = _units(look), look.judged.any(axis=0)
    bound = np.array([place.bound for place in look.places])
    by_design = np.array([place.spread > 1 for place in look.places])  # a formula that squares a condition number is no wrong formula
    margins = np.where(by_design, np.minimum(units / bound, 1.0), units / bound)
    row, case = (int(k) for k in np.unravel_index(int(np.argmax(margins)), margins.shape))
    worst = Evidence(
        property="float32",
        oracle="double precision",
        status=Status.REFUTED if margins[row, case] > 1 else Status.VERIFIED if some.any() else Status.INCONCLUSIVE,
        cases=int(np.sum(some)),
        skipped=int(np.sum(~some)),
        worst_error=float(look.error[row, case]),
        tolerance=float(bound[case] * look.unit[row, case]),
        scale=float(look.scale[row, case]),
        condition=_condition(look, row, case),
        margins=tuple(float(m) for m in margins.max(axis=0)[some]),
        errors=tuple(float(e) for e in np.max(np.where(look.judged, _relative(look.error, look.scale), 0.0), axis=0)[some]),
    )
    if worst.status is not Status.REFUTED:
        row, case = (int(k) for k in np.unravel_index(int(np.argmax(units)), units.shape))
    return replace(worst, note=_sentence(rule, look, row, case, float(units[row, case])))


def _sentence(rule: Subject, look: Look, row: int, case: int, units: float) -> str:
    """What is lost at one case; nothing if that is little."""
    if units <= FLAGGED:
        return ""
    what = f"in float32, {look.what[row]} of {rule.name} at {look.places[case].words}"
    if not np.isfinite(units):
        return f"{what} is nan or inf, or cannot be computed, though its condition number is only {_condition(look, row, case):.0e}"
    relative = float(look.error[row, case] / look.scale[row, case])
    return f"{what} has relative error {relative:.0e}, {units:.0e} times what its condition number demands"


def _condition(look: Look, row: int, case: int) -> float:
    return max(1.0, float(look.unit[row, case] / (EPSILON["float32"] * look.scale[row, case]))) if look.scale[row, case] else 1.0


def _relative(error: Floats, scale: Floats) -> Floats:
    return np.where(np.isfinite(error), error, np.inf) / np.where(scale > 0, scale, 1.0)


def _digits(look: Look, dtype: str) -> list[Digits]:
    """The digits of the derivative, at those cases where all of it could be judged."""
    rows = look.derivative
    whole = look.judged[rows].all(axis=0)
    if not whole.any():
        return []

    def kept(errors: Floats) -> tuple[float, float]:
        relative = np.max(_relative(errors, look.scale[rows]), axis=0)[whole]
        found = np.abs(np.log10(np.clip(relative, EPSILON[dtype] / 2, 1.0)))
        return float(np.median(found)), float(np.min(found))

    theirs = None if look.autodiff is None else kept(look.autodiff)
    return [Digits(dtype, int(np.sum(whole)), kept(look.error[rows]), theirs, float(np.max(_units(look)[rows])))]
