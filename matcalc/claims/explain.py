"""Why a claim is wrong: every class of mistake that takes the truth to the claim, or the claim to the truth, the simplest first.

Each test is arithmetic on floats at points of three sizes: an explanation fires only if what it makes agrees at all of them, to
eight digits. A claim whose shape is wrong is looked at where all dimensions are equal, so that it can be told what was meant.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction

import numpy as np

from matcalc.claims import backwards, edits, parts, repairs, restrictions, whole
from matcalc.claims.question import Question, all_equal
from matcalc.claims.restrictions import is_square_array
from matcalc.claims.search import BUDGET, COSTS, Reason, Search, Spell
from matcalc.derivation import clock
from matcalc.formula.operations import make, number


def explain(question: Question, spell: Spell, seed: int = 0, *, untyped: str = "") -> tuple[Reason, ...]:
    """Every explanation that fits a refuted claim, the simplest first; one of class `other` if none does.

    `untyped` says what is wrong with the shapes of a claim that could not be typed; `question` then has all dimensions equal.
    """
    search = Search(question, spell, seed)
    with clock.within(BUDGET), suppress(clock.OutOfTimeError):  # what was found until then is told
        _explained(search, untyped)
    return search.told()


def _explained(search: Search, untyped: str) -> None:
    question = search.question
    if shape := untyped or question.misfit:
        search.found.append(Reason("shape", shape, COSTS["shape"]))
        if not untyped:
            search.run((whole.transposes, backwards.interior, backwards.variables))
            search.question = all_equal(question)
            if search.question.misfit:
                return
    search.run(TESTS)


def last_resorts(search: Search) -> None:  # noqa: C901  (one after the other, until something is found)
    """What is tried where nothing else fits: diagonal matrices, a factor too many, two changes at once."""
    if search.explained:
        return
    search.found += search.doubtful
    if search.explained:
        return
    if search.holds_where(lambda inputs, _: {k: np.diag(np.diag(x)) if is_square_array(x) else x for k, x in inputs.items()}):
        search.add("elementwise_vs_matrix", "right where all matrices are diagonal: products of entries and of matrices are confused", 0.5)
    search.repaired("other", edits.shortened(search.question.claim), "right with {new} in the place of {old}", -1.0)
    if search.explained or search.zero or not search.deep:
        return
    for c in (Fraction(-1), Fraction(2), Fraction(1, 2)):
        _again(
            search, search.question.with_claim(make("scale", number(1 / c), search.question.claim)), f", and there is a factor {c} besides"
        )
        if search.explained:
            if c == -1:
                search.add("sign", "the sign of the claim is wrong, besides another mistake", 0.9)
            return
    if len(search.question.names) > 1:
        _again(search, all_equal(search.question), ", as far as square matrices show")
    if not search.explained:
        repairs.exchanged(search)
    if not search.explained:
        repairs.two_edits(search)


def _again(search: Search, question: Question, says: str) -> None:
    """The explanations of another claim for this one."""
    again = Search(question, search.spell, search.seed)
    again.deep = False
    again.run(TESTS)
    if again.right_here:
        search.add("domain", "right where all matrices are square", 0.5, about="square matrices")
        return
    known = {(r.kind, r.about) for r in search.found if r.about} | {("other", "")}
    told = [r for r in again.told() if (r.kind, r.about) not in known]
    search.found += [replace(r, message=r.message + says, cost=r.cost + 1, repair="") for r in told]


TESTS: tuple[Callable[[Search], None], ...] = (
    whole.factors,
    whole.transposes,
    whole.symmetric_variable,
    parts.parts,
    parts.terms_of_the_claim,
    backwards.interior,
    backwards.variables,
    backwards.mistakes,
    backwards.outer_steps,
    backwards.entries_by_a_number,
    repairs.turned,
    repairs.orders,
    repairs.kinds,
    repairs.names,
    repairs.inverses,
    repairs.functions,
    repairs.signs_and_numbers,
    restrictions.assumptions,
    restrictions.dropped,
    restrictions.domains,
    last_resorts,
    restrictions.settled,
)
"The tests, the cheap ones first."
