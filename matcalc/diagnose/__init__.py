"""Why a refuted derivative is wrong: explanations tried by arithmetic, each with the distance that it leaves.

What a rule gives and what it should give stand side by side at many points and sizes. An explanation is a recipe that makes the
one from the other (transpose it, leave out a term, double it where det X < 0). It fits only if what it makes is what the rule
gives, at every case that was looked at: the distance that remains is below 1e-6 of the derivative's size, and below a thousandth
of the mistake itself, so that a small mistake is not explained by nothing. The recipes come from five sources:

* changes of the expected result (sign, transpose, factors of all kinds, parts of it that are missing or doubled);
* changes of the direction it is applied to (|cotangent|, the jvp in the place of the vjp), tried with the exact Jacobian;
* formulas: products of inputs, value and direction that equal what came, what was expected, or their difference;
* restricted points: right as soon as B is symmetric, x and y are equal, or the cotangent commutes with A;
* conditions that hold exactly at the wrong cases (det X < 0, n > 1, an entry that is zero), for any of the above.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from matcalc.diagnose.claims import FITS, Claim, Jacobians, Seen, compared, exactly
from matcalc.diagnose.directions import of_restrictions, of_terms, of_the_direction
from matcalc.diagnose.formulas import of_formulas
from matcalc.diagnose.results import in_coordinates, of_entries, of_points, of_rounding, of_the_difference, of_the_result
from matcalc.diagnose.shapes import misshapen
from matcalc.diagnose.trying import Finding, Guess, attempt, condition_of, not_numbers, told
from matcalc.property import norms

if TYPE_CHECKING:
    from matcalc.property import Answers
    from matcalc.rule import Subject
    from matcalc.verdict import Explanation

__all__ = ["FITS", "Seen", "explain", "explain_shape"]

LAST_RESORT = 3.0
"Cost from which an explanation is told only where no simpler one fits."
PLAIN, NOT_SO_PLAIN = 1.9, 2.5
"Costs up to which a finding is so simple that dearer recipes are not tried."
SAME_KIND = 2
"Those of one kind, for one derivative."


def explain(subject: Subject, seen: Sequence[tuple[Seen, Answers]]) -> tuple[Explanation, ...]:
    """Every explanation of what is wrong with a refuted derivative that fits, the simplest first; at most five.

    If none fits, at most one that nearly does (its residual is above 1e-6), or nothing. Never raises for what a rule does.
    """
    seen = [(one, answers) for one, answers in seen if all(v.size for v in answers.value)]  # there is nothing to explain of no entries
    with np.errstate(all="ignore"):
        known = Jacobians(subject, seen)
        claims = compared(subject, seen, known)
        right = {word: [not c.wrong for c in claims if c.word == word] for word in ("jvp", "vjp")}
        known.trusted = {word for word, each in right.items() if each and all(each)}
        findings = [finding for claim in claims if claim.wrong for finding in _findings(subject, claim, known)]
    return told(findings)


def explain_shape(subject: Subject, seen: Sequence[Seen]) -> tuple[Explanation, ...]:
    """What is wrong with a gradient or jvp of the wrong shape: a sum that was not taken, a transpose, an axis too many.

    For a derivative of which `property.ask` says that its shape is wrong, so that nothing else can be compared. One way that mends it
    at all sizes is told alone; else, the ways at the first size at which it must be mended.
    """
    with np.errstate(all="ignore"):
        by_size = [found for one in seen if (found := list(misshapen(subject, one)))]
    ways = [{(f.of, f.sentence.partition(": ")[2]) for f in found} for found in by_size]
    everywhere = set[tuple[str, str]]().union(*ways).intersection(*ways)
    first = by_size[0] if by_size else []
    return told([f for f in first if (f.of, f.sentence.partition(": ")[2]) in everywhere] or first)


def _findings(subject: Subject, claim: Claim, known: Jacobians) -> list[Finding]:
    """All explanations of one claim that fit; failing these, the one that comes nearest."""
    found = not_numbers(claim)
    finite = replace(claim, parts=tuple(q for p in claim.parts if len((q := p.pick(np.isfinite(norms(p.got, 1)))).case)))
    if not finite.wrong:
        return found
    for tried in _tried(subject, finite, known, found):
        found.append(tried)
    near = [f for f in found if not f.fits]
    found = [f for f in found if f.fits]
    always = min((f.cost for f in found if not f.conditional), default=np.inf)
    found = sorted((f for f in found if not f.conditional or f.cost < always), key=lambda f: f.cost)
    found = [f for f in found if f.cost < LAST_RESORT or found[0].cost >= LAST_RESORT]
    found = [f for k, f in enumerate(found) if sum(g.kind == f.kind for g in found[:k]) < SAME_KIND]
    return found or sorted(near, key=lambda f: f.residual)[:1]


def _tried(subject: Subject, claim: Claim, known: Jacobians, found: Sequence[Finding]) -> Iterator[Finding]:
    """The findings about one claim, the cheap recipes first; `found` holds those so far, and the dear ones may not be needed."""

    def all_of(tried: Claim, guesses: Iterable[Guess]) -> Iterator[Finding]:
        return (finding for guess in guesses if (finding := attempt(tried, guess)) is not None)

    def simple(cost: float) -> bool:
        return any(f.fits and f.cost <= cost for f in found)

    yield from all_of(claim, of_the_result(claim))
    yield from all_of(claim, of_entries(claim))
    if not simple(PLAIN):
        yield from all_of(claim, of_points(claim))
    exact = exactly(claim, known)
    if exact is not None:
        yield from all_of(exact, of_the_direction(exact))
    if simple(PLAIN):
        return
    if exact is not None:
        yield from of_terms(subject, exact, known)
        yield from of_restrictions(subject, exact, known)
    yield from all_of(claim, of_formulas(claim, pairs=not simple(NOT_SO_PLAIN)))
    yield from all_of(claim, in_coordinates(claim))
    if not simple(NOT_SO_PLAIN):
        yield from of_rounding(subject, claim, known)
    if not simple(np.inf) and not _as_almost_any(condition := condition_of(claim)):
        yield Finding("domain", f"{{of}} is wrong only {condition}", claim.of, 0.0, 4.0, fits=True)
    if not simple(np.inf):
        yield from of_the_difference(claim)


def _as_almost_any(condition: str) -> bool:
    """Whether a condition holds wherever almost any mistake shows: beyond size one."""
    return not condition or "more than one" in condition or condition.endswith(" > 1")
