"""All special points of a subject, asked and weighed shape by shape."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING
from warnings import catch_warnings, simplefilter

import numpy as np

from matcalc.array import parts
from matcalc.cases import generator
from matcalc.property import FaultError, first_line, values_at
from matcalc.special.accused import excused, settle
from matcalc.special.asking import SIZING, answers_of, ask_all, assembled, cases_of, first_probes
from matcalc.special.branches import sought
from matcalc.special.findings import Finding, Report, margin_of
from matcalc.special.handling import extremes, layouts, poisons
from matcalc.special.kinks import DIRECTIONS, between_the_sides, more_directions
from matcalc.special.places import ILL_CONDITIONED, Place, as_floats, places
from matcalc.special.sides import Study, studied
from matcalc.special.weighing import against_differences, against_itself
from matcalc.verdict import Coverage, Evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from matcalc.property import Answers
    from matcalc.rule import Subject

    Floats = NDArray[np.float64]

SIZING_ALONE = 2
"Such tangents for each input alone: beside the derivative of A⁻¹b along A, that along b is nothing at all where A is near singular."

NO_VALUE = "the value is not finite there"


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
    if not subject.strict and shapes:
        first = next(iter(shapes.values()))
        first += sought(subject, first[0].sizes, seed)
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
                report.say(property_, "itself", Finding(*margin_of(np.inf, 0.0), 1.0, sentence=sentence))
    return report.evidence(), report.census()


def _whole(subject: Subject) -> dict[str, Callable[[Subject, Study, Report], None]]:
    """The checks of whole answers. Arrays of JAX have no order in memory, so there is none of it where JAX runs the rule."""
    with_order = not subject.mapped and any(domain.dims for domain in subject.domains.values())
    if not subject.strict:  # the ends of the range and the order in memory are for those who promise them
        return {"poison": poisons}
    return {**({"layout": layouts} if with_order else {}), "poison": poisons, "extremes": extremes}


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
    batch = assembled(subject, found[0].sizes, inputs, tuple(noises), shapes, rng)
    batch = replace(batch, reach=np.minimum(batch.reach, [[found[k].room] for k in kept]))
    answers, faults = ask_all(subject, first_probes(batch, probes))
    for k, fault in faults.items():
        place = found[kept[k]]
        if not subject.strict and isinstance(fault.__cause__, np.linalg.LinAlgError):
            report.count(place.input, place.kind, judged=False, note=fault.sentence)
            continue
        sentence = f"{fault.sentence}, at a special point ({place})"
        report.say("special", "itself", Finding(*margin_of(np.inf, 0.0), 1.0, sentence=sentence))
        report.count(place.input, place.kind, judged=True)
    if answers is None:
        return None
    rest = [k for k in range(len(kept)) if k not in faults]
    there = [row for row, finite in enumerate(_finite_answers(answers)) if finite or _has_value(subject, batch.point(rest[row]))]
    for row in sorted({*range(len(rest))}.difference(there)):
        place = found[kept[rest[row]]]
        report.count(place.input, place.kind, judged=False, note=NO_VALUE)
    if not there:
        return None
    places_there = [found[kept[rest[row]]] for row in there]
    return studied(subject, cases_of(batch, [rest[row] for row in there]), places_there, answers_of(answers, there), probes=probes)


def _value(subject: Subject, place: Place, report: Report) -> list[Floats] | None:
    """The value at a point; None, and why in the report, where there is none or it is not finite."""
    try:
        value = [as_floats(v) for v in parts(subject.value(*(np.array(x) for x in place.inputs)))]
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
        report.say("special", "itself", Finding(*margin_of(np.inf, 0.0), 1.0, sentence=sentence))
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
    report.count(place.input, place.kind, judged=False, note=NO_VALUE)
    return None


def _weigh(subject: Subject, study: Study, rng: np.random.Generator, report: Report) -> None:
    """All comparisons at the points of one shape, into the report; and its census."""
    kinked = np.any([d.kink.any(axis=1) for d in study.found], axis=0)
    undefined = kinked & ~_finite_answers(study.answers) if not subject.strict else np.zeros_like(kinked)
    kinked &= ~undefined
    for k in np.flatnonzero(undefined):
        place = study.places[k]
        sentence = (
            f"what is claimed of {subject.name} is nan or inf at a special point ({place}), where there is a value and no derivative: "
            "leave the point out of the domain, or give a subgradient"
        )
        report.say("kink", "itself", Finding(0.0, 0.0, 0.0, 0.0, usable=False, sentence=sentence, place=place))
    beside_differences = excused(subject, study, settle(subject, study, against_differences))
    usable = report.add("special", "finite differences", study, beside_differences, ~kinked)
    report.add("special", "itself", study, settle(subject, study, against_itself), ~undefined)
    if kinked.any():
        between = excused(subject, study, between_the_sides(subject, study, rng), kinks=True)
        usable = usable | report.add("kink", "one-sided differences", study, between, kinked)
        cases = [int(k) for k in np.flatnonzero(kinked)]
        more = more_directions(subject, cases_of(study.whole, cases), rng)
        answers, _ = ask_all(subject, first_probes(more, DIRECTIONS))
        if answers is not None and len(answers.value[0]) == len(cases):
            closer = studied(subject, more, [study.places[k] for k in cases], answers, probes=DIRECTIONS)
            between = excused(subject, closer, between_the_sides(subject, closer, rng), kinks=True)
            report.add("kink", "one-sided differences", closer, between, np.ones(len(cases), dtype=bool))
    for place, judged, nowhere in zip(study.places, usable, undefined, strict=True):
        why = "it is nan or inf there, where there is no derivative" if nowhere else "differences are not sharp enough there"
        report.count(place.input, place.kind, judged=bool(judged), note="" if judged else why)


def _has_value(subject: Subject, point: Sequence[Floats]) -> bool:
    """Whether the function has a finite value at a point, where a compiled program says that it has.

    XLA cancels what code as it stands does not: x / x is 1 there, and nan where x has overflowed.
    """
    if not subject.mapped:
        return True
    with suppress(Exception):  # of a library that refuses what a compiled program takes
        return all(np.isfinite(as_floats(v)).all() for v in parts(subject.value(*(np.array(x) for x in point))))
    return True


def _finite_answers(answers: Answers) -> NDArray[np.bool_]:
    """At which cases what is claimed is a number."""
    arrays = (*answers.jvp, *answers.vjp)
    return np.all([np.isfinite(x).all(axis=tuple(range(1, x.ndim))) for x in arrays], axis=0)
