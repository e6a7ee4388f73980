"""What was found at special points: the evidence, and the census of what was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from matcalc.cases import EPSILON
from matcalc.property import SAFETY, Comparison
from matcalc.special.places import ILL_CONDITIONED, PLAIN, Place
from matcalc.special.sides import Study
from matcalc.verdict import Coverage, Evidence, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Judged = list[tuple[str, Comparison]]

GROSS = 1e-2
"Relative difference up to which nobody's code but a rule is blamed where the condition number may be anything."
NAMED = 8
"How many places a sentence lists."


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


def margin_of(error: float, tolerance: float) -> tuple[float, float, float]:
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
            found.append(Finding(*margin_of(error, SAFETY * max(EPSILON * size, scatter)), size, sentence=sentence))
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
