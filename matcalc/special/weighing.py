"""What is claimed at special points beside differences and beside itself, in units of what may be expected there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from matcalc import property as properties
from matcalc.cases import EPSILON
from matcalc.property import ROUNDING, SAFETY, TRUST, Comparison, Measure, Yardstick, norms
from matcalc.special.sides import LEAST, Study

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from matcalc.rule import Subject

    Floats = NDArray[np.float64]
    Judged = list[tuple[str, Comparison]]

TOO_WEAK = 1e-3
"Relative tolerance beyond which a special point counts as not judged: three digits tell a wrong formula from a right one."
VANISHING = 1e-9
"Tolerance relative to the value within which a derivative that vanishes is judged."


def compared(gap: Floats, size: Floats, error: Floats, natural: Floats, level: Floats) -> Comparison:
    """A difference (case, probe, ...) beside what rounding and the oracle's own error allow; three digits are enough to judge.

    `level` is the size of the value: a derivative may vanish altogether, and then that is what it is small beside.
    """
    scale = np.maximum(size, natural)
    tolerance = LEAST * scale + ROUNDING * EPSILON * level + TRUST * error
    known = (tolerance <= TOO_WEAK * scale) | (tolerance <= VANISHING * np.where(scale > 0, level, 1.0))
    usable = np.isfinite(tolerance) & np.isfinite(scale) & known
    return Comparison(gap, norms(gap), np.where(np.isfinite(tolerance), tolerance, 0.0), size, natural, usable | (0 in gap.shape))


def as_pairings(study: Study, sizes: Sequence[Floats]) -> Floats:
    """Sizes of the cotangents times the sizes of what they are paired with, summed over the arrays of the value."""
    return np.sum([norms(c) * x for c, x in zip(study.batch.cotangents, sizes, strict=True)], axis=0)


def against_differences(subject: Subject, study: Study) -> Judged:
    """Jvp and vjp beside the derivative that the function's own values show; nothing is said at a kink."""
    answers, batch, name = study.answers, study.batch, subject.name
    sizes = [norms(d.value) for d in study.found]
    judged = [
        (f"the jvp of {name} is not what finite differences give", compared(mine - d.value, size, d.error, natural, level))
        for mine, d, size, natural, level in zip(answers.jvp, study.found, sizes, study.natural, study.level, strict=False)
    ]
    if answers.vjp:
        mine, theirs = properties.pairings(answers, batch, [d.value for d in study.found])
        error = as_pairings(study, [d.error for d in study.found])
        c = compared(mine - theirs, as_pairings(study, sizes), error, as_pairings(study, study.natural), as_pairings(study, study.level))
        judged.append((f"the vjp of {name} is not what finite differences give", c))
    return judged


def _blur(study: Study) -> list[Floats]:
    """How well each derivative is known, at kinks too."""
    sides = [norms(s.right_error) + norms(s.left_error) for s in study.slopes]
    return [np.where(d.kink, blur, d.error) for d, blur in zip(study.found, sides, strict=True)]


def against_itself(subject: Subject, study: Study) -> Judged:
    """Adjoint identity, linearity, and gradients that keep out of what is not read: they hold at kinks too."""
    answers, batch, blur, name = study.answers, study.batch, _blur(study), subject.name
    judged: Judged = []
    if answers.jvp and answers.vjp:
        mine, theirs = properties.pairings(answers, batch, answers.jvp)
        own = np.sum([norms(g) * norms(t) for g, t in zip(answers.vjp, batch.tangents, strict=True)], axis=0)
        size = own + as_pairings(study, [norms(j) for j in answers.jvp])
        size = np.where(np.isfinite(size), size, 0.0)  # a rule that gives inf has no say in how large it may be
        c = compared(mine - theirs, size, as_pairings(study, blur), as_pairings(study, study.natural), as_pairings(study, study.level))
        judged.append((f"the vjp of {name} is not the adjoint of its jvp", c))
    stick = _yardstick(study, blur)
    judged += [(f"the jvp or the vjp of {name} is not linear", c) for c in properties.maps_are_linear(answers, stick)]
    leaks = properties.gradient_keeps_structure(subject, answers, batch, stick)
    return judged + [(f"a gradient of {name} has entries where its input has none", c) for c in leaks]


def _yardstick(study: Study, blur: Sequence[Floats]) -> Yardstick:
    """Sizes of the derivatives as the function's values show them."""
    sizes = [np.maximum(norms(d.value), n) for d, n in zip(study.found, study.natural, strict=True)]
    paired, paired_blur, level = (as_pairings(study, x) for x in (sizes, blur, study.level))
    speeds = [np.where(norms(t) > 0, norms(t), 1.0) for t in study.batch.tangents]
    share = TRUST / SAFETY
    return Yardstick(
        value=(),
        jvp=tuple(Measure(size, share * b, size + level) for size, b, level in zip(sizes, blur, study.level, strict=True)),
        vjp=tuple(Measure(paired / speed, share * paired_blur / speed, (paired + level) / speed) for speed in speeds),
    )
