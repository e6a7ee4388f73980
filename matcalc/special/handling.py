"""How arrays lie in memory, what is not read, and the ends of the range of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from matcalc import property as properties
from matcalc.cases import EPSILON, PERTURBATION
from matcalc.oracle import autodiff
from matcalc.property import FaultError, first_line, values_at
from matcalc.special.findings import Finding, Report, margin_of
from matcalc.special.places import BACKWARDS, EXTREMES, LAYOUTS, POISON, as_floats, has_scales
from matcalc.special.sides import Study

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from matcalc.rule import Subject

    Floats = NDArray[np.float64]

ROOM = 1e290
"Derivatives of about this size may overflow on the way; nothing is demanded of them."


def _everything(subject: Subject, arrays: Sequence[Floats]) -> list[Floats]:
    """Value, jvp and vjp as far as they are claimed, at one point."""
    if subject.mapped:
        try:
            return [x[0] for x in autodiff.run(properties.everything(subject), [x[None] for x in arrays])]
        except autodiff.CannotTraceError:  # what is claimed may be NumPy code all the same
            pass
    return [as_floats(x) for x in properties.everything(subject)(*arrays)]


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


def layouts(subject: Subject, study: Study, report: Report) -> None:
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


def poisons(subject: Subject, study: Study, report: Report) -> None:
    """With NaN in what the domain says is not read nothing changes, and the gradient there is exactly zero.

    Somebody's function may read it, as zeros: `np.linalg.solve(L, b)` is right for a triangular L. Then its derivative may, too.
    """
    batch, asked = study.batch, _question(study)
    for i, (name, domain) in enumerate(subject.domains.items()):
        if not domain.tangent_only:
            continue
        unread = as_floats(domain.tangent(asked[i], np.ones_like(asked[i]))) == 0
        plain = _everything(subject, asked)
        poisoned = [np.where(unread, np.nan, x) if k == i else x for k, x in enumerate(asked)]
        read = not subject.strict and _changes(subject, poisoned[: len(batch.inputs)], plain)
        if not read:
            reader = subject.name if subject.strict else f"what is claimed of {subject.name}"
            sentence = f"{reader} reads entries of {name} that its domain does not have: NaN there changes its answers"
            report.same("poison", _everything(subject, poisoned), plain, [0.0 for _ in plain], sentence)
        if i in batch.free and study.answers.vjp:
            leak = np.abs(plain[len(plain) - len(batch.free) + batch.free.index(i)][unread])
            sentence = f"the gradient of {subject.name} with respect to {name} is not exactly zero in the entries that are not read"
            report.say("poison", "itself", Finding(*margin_of(float(np.max(leak, initial=0.0)), 0.0), 1.0, sentence=sentence))
        report.count(name, POISON, judged=bool(unread.any()) and not read, note=f"{subject.name} itself reads them" if read else "")


def _changes(subject: Subject, inputs: Sequence[Floats], plain: Sequence[Floats]) -> bool:
    """Whether the function alone has another value at these inputs than the first ones of `plain`, or none."""
    try:
        values = values_at(subject, [x[None] for x in inputs])
    except FaultError:  # of a library that refuses NaN
        return True
    return not all(np.allclose(x[0], y, rtol=1e-6) for x, y in zip(values, plain, strict=False))


def extremes(subject: Subject, study: Study, report: Report) -> None:
    """At scales 1e-150 and 1e150 nothing raises, and where value and derivative have room, no derivative is nan or inf."""
    asked, batch = _question(study), study.batch
    values = len(batch.cotangents)
    for i, name in enumerate(batch.names):
        for scale in EXTREMES if has_scales(subject.domains[name]) else ():
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
                report.say("extremes", "itself", Finding(*margin_of(np.inf, 0.0), 1.0, sentence=sentence))
                continue
            size = max(float(np.max(np.abs(v), initial=0.0)) for v in found[:values])
            room = bool(0 < size / min(1.0, scale) < ROOM)
            finite = all(np.all(np.isfinite(x)) for x in found[values:])
            if room:
                sentence = f"a derivative of {subject.name} is nan or inf {where} and its value is not"
                report.say("extremes", "itself", Finding(*margin_of(0.0 if finite else np.inf, 1.0), 1.0, sentence=sentence))
            report.count(
                name, f"scale {scale:.0e}", judged=room, note="" if room else "value or derivative leave the range of floating point"
            )
