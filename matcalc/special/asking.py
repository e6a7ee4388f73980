"""A subject asked at several points of one shape, and the batches for that."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from matcalc import property as properties
from matcalc.cases import Batch, assemble
from matcalc.property import Answers, FaultError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from matcalc.domain import Sizes
    from matcalc.rule import Subject

    Floats = NDArray[np.float64]
    Arrays = tuple[Floats, ...]

SIZING = 4
"Extra tangents that only show how large the derivative is at a point, so that one which is small by chance is not taken for it."


def ask_all(subject: Subject, batch: Batch) -> tuple[Answers | None, dict[int, FaultError]]:
    """What the rule says at the cases, and at which of them it cannot be asked."""
    answered: list[Answers] = []
    faults: dict[int, FaultError] = {}
    if subject.mapped:
        with suppress(FaultError):  # then one by one, to find out where
            return properties.ask(subject, batch), faults
    for k in range(batch.count):
        try:
            answered.append(properties.ask(subject, cases_of(batch, [k])))
        except FaultError as fault:
            faults[k] = fault

    def join(columns: Sequence[Arrays]) -> Arrays:
        return tuple(np.concatenate(arrays) for arrays in zip(*columns, strict=True))

    if not answered:
        return None, faults
    bent = join([a.nonlinear[0] for a in answered]), join([a.nonlinear[1] for a in answered])
    return Answers(join([a.value for a in answered]), join([a.jvp for a in answered]), join([a.vjp for a in answered]), bent), faults


def assembled(
    subject: Subject, sizes: Sizes, inputs: Arrays, noises: Arrays, shapes: Sequence[tuple[int, ...]], rng: np.random.Generator
) -> Batch:
    """A batch at given points along given noise, with random cotangents and neighbours."""
    cases, probes = noises[0].shape[:2]
    cotangents = tuple(rng.standard_normal((cases, probes, *shape)) for shape in shapes)
    return assemble(subject, sizes, inputs, noises, cotangents, tuple(rng.standard_normal((cases, 2, *x.shape[1:])) for x in inputs))


def cases_of(batch: Batch, cases: Sequence[int]) -> Batch:
    """Some cases of a batch."""
    inputs, tangents, cotangents, neighbours = (
        tuple(x[list(cases)] for x in arrays) for arrays in (batch.inputs, batch.tangents, batch.cotangents, batch.neighbours)
    )
    return replace(batch, inputs=inputs, tangents=tangents, cotangents=cotangents, neighbours=neighbours, reach=batch.reach[list(cases)])


def answers_of(answers: Answers, cases: Sequence[int]) -> Answers:
    """What the subject says at some cases."""

    def some(arrays: Arrays) -> Arrays:
        return tuple(x[list(cases)] for x in arrays)

    jvp, vjp = answers.nonlinear
    return Answers(some(answers.value), some(answers.jvp), some(answers.vjp), (some(jvp), some(vjp)))


def first_probes(batch: Batch, probes: int) -> Batch:
    """The first probes of all cases."""
    tangents, cotangents = (tuple(x[:, :probes] for x in arrays) for arrays in (batch.tangents, batch.cotangents))
    return replace(batch, tangents=tangents, cotangents=cotangents, reach=batch.reach[:, :probes])
