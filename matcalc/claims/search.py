"""The search for explanations: a refuted claim at its points, what has been found, and the ways to try what may be meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from matcalc.claims.bench import BROKEN, At, bench, close
from matcalc.claims.edits import Edit
from matcalc.claims.layers import NOWHERE, TooLargeError
from matcalc.claims.points import Floats, Sizes, at_random
from matcalc.claims.question import Question
from matcalc.derivation import clock
from matcalc.derivation.reverse import prepared
from matcalc.formula.expression import Expr, FormulaError

Spell = Callable[[Expr], str]
Change = Callable[[dict[str, Floats], Sizes], dict[str, Floats] | None]
"Moves a point into a smaller set, or refuses it by None."

COSTS = {
    "shape": 0.0,
    "sign": 1.0,
    "dimension_factor": 1.1,
    "scalar_factor": 1.15,
    "symmetric_treatment": 1.2,
    "layout": 1.3,
    "transpose": 1.3,
    "missing_term": 1.5,
    "term_sign": 1.6,
    "inverse_rule": 1.7,
    "outer_chain": 1.8,
    "elementwise_derivative": 1.9,
    "chain_missing": 2.0,
    "inner_transpose": 2.1,
    "elementwise_vs_matrix": 2.2,
    "product_order": 2.3,
    "wrong_variable": 2.35,
    "wrong_operand": 2.4,
    "symmetric_assumption": 2.6,
    "term_factor": 2.7,
    "domain": 2.8,
    "other": 9.0,
}
"The classes of mistakes, and how dear an explanation by each is: shortest repair first."
BUDGET = 3.0
"Seconds after which explanations stop; counted work is what keeps them below a tenth of that, so that answers are always the same."
MOST_EDITS = 300
"Changes of one kind that are tried."
DRAWN = 24
"Points that are drawn to be in a smaller set."
NOTHING = 1e-13
"A derivative that is so much smaller than what is claimed, at every point, is zero."
SOME = 4
"Smaller sets that are told."


@dataclass(frozen=True)
class Reason:
    """One explanation: its class, a sentence, what it is about, and what would have to be done."""

    kind: str
    message: str
    cost: float
    about: str = ""  # the path, node, factor or condition
    repair: str = ""  # the right formula that is one change away, in the user's spelling

    def to_json(self) -> dict[str, str]:
        """As the claims file has it."""
        return {"class": self.kind, "message": self.message, "about": self.about, "repair": self.repair}


@dataclass(frozen=True)
class Restriction:
    """A smaller set in which the claim is right, and the explanation that tells of it."""

    reason: Reason
    change: Change


class Search:
    """What is known about a refuted claim, and what was found out about it."""

    def __init__(self, question: Question, spell: Spell, seed: int) -> None:
        self.question = question
        self.spell = spell
        self.seed = seed
        self.found: list[Reason] = []
        self.doubtful: list[Reason] = []  # told only where nothing simpler fits
        self.restrictions: list[Restriction] = []  # those of `found` that tell of a smaller set
        self.deep = True
        self.right_here = False  # as a claim may be where all dimensions are equal
        self.zero = False  # whether the derivative is, so that anything times 0 would fit it
        self.doubled = False  # whether one of two paths is taken twice, as it may be where a matrix is symmetric

    def add(self, kind: str, message: str, more: float = 0.0, about: str = "", repair: Expr | None = None) -> None:
        """Note an explanation."""
        self.found.append(Reason(kind, message, COSTS[kind] + more, about, "" if repair is None else self.spell(repair)))

    def restricted(self, kind: str, where: str, change: Change, more: float = 0.0, about: str = "") -> None:
        """Note a smaller set in which the claim is right."""
        self.add(kind, f"right where {where}", more, about)
        self.restrictions.append(Restriction(self.found[-1], change))

    @property
    def late(self) -> bool:
        """Whether no more time is left."""
        return clock.is_up()

    def told(self) -> tuple[Reason, ...]:
        """The explanations in order: of each class the simplest, and the simplest that repairs the claim; of smaller sets a few.

        Each of them leads to the whole claim, so that a second one of a class could only say the same in other words.
        """
        chosen: list[Reason] = []
        for reason in sorted(self.found, key=lambda r: r.cost):
            same = [r for r in chosen if r.kind == reason.kind and bool(r.repair) == bool(reason.repair)]
            if len(same) < (SOME if reason.kind == "domain" else 1) and all(r.message != reason.message for r in same):
                chosen.append(reason)
        if not chosen:
            says = "the derivative is zero everywhere" if self.zero else "none of the usual mistakes leads to it"
            chosen.append(Reason("other", says, COSTS["other"]))
        return tuple(chosen)

    @property
    def explained(self) -> bool:
        """Whether anything but a smaller set was found."""
        return any(r.kind not in {"shape", "domain"} for r in self.found)

    def holds_where(self, change: Change) -> bool:
        """Whether the claim is right in a smaller set, where there is something to be right about.

        `change` moves a point into the set, or refuses it by None.
        """
        if self.zero:
            return False
        good, anything = 0, False
        all_sizes = {tuple(at.sizes.items()): at.sizes for at in self.bench.points}
        enough = 2 if len(all_sizes) > 1 else 3
        for sizes in all_sizes.values():
            seen = 0
            for inputs in self.inputs(sizes):
                if self.late:
                    return False
                moved = change(inputs, sizes)
                at = None if moved is None else self.bench.at(sizes, moved)
                if at is None:
                    continue
                if at.true.shape != at.claimed.shape or not close(at.true, at.claimed):
                    return False
                anything = anything or bool(np.any(at.true))
                seen += 1
                if seen == enough:
                    break
            good += seen
        return good >= 3 and anything

    def inputs(self, sizes: Sizes) -> Iterator[dict[str, Floats]]:
        """Points of these sizes: those there are, then others."""
        yield from (at.inputs for at in self.bench.points if at.sizes == sizes)
        rng = np.random.default_rng([self.seed, 66])
        yield from (at_random(self.question.variables, sizes, rng) for _ in range(DRAWN))

    def safe(self, expr: Expr, at: At) -> Floats | None:
        """A derivative at a point; None where it is undefined, or time is up."""
        if self.late:
            return None
        try:
            return self.bench.adjoint(expr, at)
        except BROKEN:
            return None

    def makes_right(self, claim: Expr) -> bool:
        """Whether another claim would be right; where the derivative is zero, anything times zero would be."""
        return not self.late and not self.zero and self.bench.is_true(claim)

    def repaired(self, kind: str, changed: Iterator[Edit], says: str, more: float = 0.0) -> bool:
        """Every edit of the claim that makes it right."""
        any_found = False
        for count, edit in enumerate(changed):
            if self.late or count > MOST_EDITS:
                break
            if self.makes_right(edit.expr):
                old, new = self.spell(edit.old), self.spell(edit.new)
                self.add(kind, says.format(old=old, new=new), more + 0.003 * len(old), about=old, repair=edit.expr)
                any_found = True
        return any_found

    def run(self, tests: Sequence[Callable[[Search], None]]) -> None:
        """Tests, one after the other, as long as there is time."""
        try:
            self.bench = bench(self.question, self.seed)
        except TooLargeError:
            self.add("other", "the arrays are too large to look for the mistake")
            return
        if not self.bench.points:
            self.add("other", NOWHERE)
            return
        self.f = prepared(self.question.target)
        sides = [(np.max(np.abs(at.true), initial=0), np.max(np.abs(at.claimed), initial=0)) for at in self.bench.points]
        self.zero = all(true <= NOTHING * claimed for true, claimed in sides)
        if not self.question.misfit and self.bench.is_true(self.question.claim):
            self.right_here = True
            return
        with np.errstate(all="ignore"):
            for test in tests:
                if self.late:
                    break
                with suppress(FormulaError):  # an operation without a rule: the tests that need none go on
                    test(self)
