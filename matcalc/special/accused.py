"""What speaks against a claim, asked again before it counts: at smaller steps, of JAX, one case at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from matcalc import property as properties
from matcalc.array import parts
from matcalc.cases import Batch, nearby
from matcalc.oracle import autodiff
from matcalc.property import TOO_WEAK, TRUST, Answers, Compared, Comparison, FaultError, norms
from matcalc.special.asking import ask_all, cases_of, first_probes
from matcalc.special.places import ILL_CONDITIONED, Place
from matcalc.special.sides import Study, studied
from matcalc.special.weighing import against_differences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from matcalc.rule import Subject

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Arrays = tuple[Floats, ...]
    Judged = list[tuple[str, Comparison]]

SCATTERED = 3
"Points beside a place at which a claim is asked whether it says the same."
CLOSER = (2.0**-12, 2.0**-24)
"How much smaller steps are taken where differences speak against what is claimed, to see whether they still do."


def settle(subject: Subject, study: Study, judge: Callable[[Subject, Study], Judged]) -> Judged:
    """The comparisons, rounding told from mistakes by a second look nearby where one fails by little.

    They stay as they are where the rule cannot be asked nearby.
    """
    judged = judge(subject, study)
    beyond = np.any([np.any(c.margin > 1, axis=1) for _, c in judged], axis=0)
    # each case by itself: a mistake at one point is no reason to take rounding at another one for a mistake
    cases = [k for k in map(int, np.flatnonzero(beyond)) if properties.could_be_rounding([_only(c, [k]) for _, c in judged])]
    if not cases:
        return judged
    some, probes = cases_of(study.whole, cases), study.batch.reach.shape[1]

    def again(seed: int) -> Compared:
        near = nearby(subject, some, seed)
        noises = [around - here[:, None] for around, here in zip(some.neighbours, some.inputs, strict=True)]
        near = replace(near, neighbours=tuple(x[:, None] + noise for x, noise in zip(near.inputs, noises, strict=True)))
        answers, faults = ask_all(subject, first_probes(near, probes))
        for fault in faults.values():
            raise fault
        assert answers is not None  # noqa: S101  (there are cases, and no faults)
        found = judge(subject, studied(subject, near, [study.places[k] for k in cases], answers, probes=probes))
        return {"": [there for _, there in found]}

    try:
        settled = properties.second_look({"": [_only(c, cases) for _, c in judged]}, again)[""]
    except FaultError:
        return judged
    return [(meaning, _with_rows(c, cases, there)) for (meaning, c), there in zip(judged, settled, strict=True)]


def excused(subject: Subject, study: Study, judged: Judged, *, kinks: bool = False) -> Judged:
    """The comparisons with differences, without those that fail for no fault of the formula.

    Of what looks like `kinks` those are left out at which smaller steps see none.
    """
    failed = np.any([np.any(c.usable & (c.margin > 1) & np.isfinite(c.error), axis=1) for _, c in judged], axis=0)
    cases = [int(k) for k in np.flatnonzero(failed)]
    batch, probes = cases_of(study.whole, cases), study.batch.reach.shape[1]
    answers, faults = ask_all(subject, first_probes(batch, probes)) if cases else (None, {})
    if answers is None or faults:
        return judged
    accused = Accused(subject, [study.places[k] for k in cases], batch, probes, answers, [_only(c, cases) for _, c in judged])
    for index, excuse in [*accused.bent(), *(() if subject.strict or kinks else (*accused.lost(), *accused.scattered()))]:
        c = judged[index][1]
        c.error[cases] = np.where(excuse, 0.0, c.error[cases])
        c.usable[cases] &= ~excuse
    return judged


@dataclass(frozen=True)
class Accused:
    """Special points at which differences speak against what is claimed; `compared` as `against_differences` has it.

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
            found = against_differences(self.subject, studied(self.subject, near, self.places, self.answers, probes=self.probes))
            for index, (c, (_, there)) in enumerate(zip(self.compared, found, strict=False)):  # at kinks without the vjp beside a jvp
                yield index, there.usable & (there.margin <= 1) & (there.tolerance <= c.error / TRUST)

    def lost(self) -> Iterable[tuple[int, Bools]]:
        """Where JAX, at conditions and scales that nobody asked for or about the last digits, does not say what differences say.

        Digits are lost there that only a rule has to keep; to convict somebody's code both must speak against it.
        """
        pushed = self.by_jax()
        far = self.far()
        asked = first_probes(self.batch, self.probes)
        theirs = list(pushed[: len(self.answers.jvp)])
        if pushed and self.answers.vjp:
            theirs.append(properties.pairings(self.answers, asked, pushed)[1])
        for index, (c, mine, jax) in enumerate(zip(self.compared, self.pushed(self.answers), theirs, strict=False)):
            last_digits = c.error <= TOO_WEAK * np.maximum(c.scale, c.natural)
            yield index, (far | last_digits) & (norms(jax - (mine - c.gap)) > c.error / TRUST)

    def scattered(self) -> Iterable[tuple[int, Bools]]:
        """Where, at conditions and scales that nobody asked for, what is claimed a hair away differs by what it is accused of."""
        if not (far := self.far()).any():
            return
        beside = [ask_all(self.subject, nearby(self.subject, first_probes(self.batch, self.probes), seed)) for seed in range(SCATTERED)]
        if any(answers is None or faults for answers, faults in beside):
            return
        mine, theirs = self.pushed(self.answers), [self.pushed(answers) for answers, _ in beside if answers is not None]
        for index, (c, here) in enumerate(zip(self.compared, mine, strict=False)):
            apart = np.max([norms(there[index] - here) for there in theirs], axis=0)
            yield index, far & (apart > c.error / TRUST)

    def far(self) -> Bools:
        """At which places the condition or the scale is one that nobody asked for: (places, 1)."""
        return np.array([[place.kind.startswith(ILL_CONDITIONED)] for place in self.places])

    def pushed(self, answers: Answers) -> list[Floats]:
        """What is compared: the jvp, and the vjp along the tangents."""
        asked = first_probes(self.batch, self.probes)
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


def _with_rows(comparison: Comparison, cases: Sequence[int], some: Comparison) -> Comparison:
    """A comparison with what another one says of some cases."""
    arrays = {name: x.copy() for name, x in vars(comparison).items()}
    for name, x in arrays.items():
        x[cases] = getattr(some, name)
    return Comparison(**arrays)
