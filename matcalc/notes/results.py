"""What is found out about a document, as values: a verdict on every claim and every number, and what is right instead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from matcalc.graph import Graph
from matcalc.notes.reading import Claim, Example, Notes, Statement


class Judgement(StrEnum):
    """What becomes of a claim or of a printed number; the worst first."""

    UNREADABLE = "unreadable"
    FALSE = "false"
    UNDECIDED = "undecided"
    TRUE = "true"
    WORKED = "worked"  # nothing was claimed

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Judgement).index(self)


@dataclass(frozen=True)
class JudgedStatement:
    """A line of an example. `value` is what it comes to, `right` what should stand in place of what is printed."""

    statement: Statement
    judgement: Judgement
    anchor: str = ""
    tex: str = ""
    value: Any = None  # nested lists of numbers, or one number
    wrong: tuple[int, ...] = ()  # which of the printed numbers, in order
    claimed_tex: str = ""
    right: str = ""
    note: str = ""
    error: float | None = None  # of a derivative, against finite differences
    body: tuple[JudgedStatement, ...] = ()

    def all(self) -> Iterator[JudgedStatement]:
        """It and the lines in it."""
        yield self
        for one in self.body:
            yield from one.all()


@dataclass(frozen=True)
class JudgedExample:
    """An example, worked."""

    example: Example
    anchor: str
    judgement: Judgement
    statements: tuple[JudgedStatement, ...]
    graphs: tuple[Graph, ...] = ()
    note: str = ""  # which graph could not be drawn


@dataclass(frozen=True)
class JudgedClaim:
    """A claim, decided. What is shown of it is TeX and sentences."""

    claim: Claim
    anchor: str
    judgement: Judgement
    status: str = ""  # "proved", "verified", "refuted", "inconclusive"
    f_tex: str = ""
    wrt_tex: str = ""
    claim_tex: str = ""
    right_tex: str = ""
    where_tex: tuple[str, ...] = ()
    note: str = ""  # the reason, or why it cannot be read
    explanations: tuple[str, ...] = ()
    counterexample: str = ""


Judged = JudgedClaim | JudgedExample


@dataclass(frozen=True)
class Finding:
    """Something in a document that is not as it should be, with the place where it stands."""

    id: str
    line: int
    anchor: str
    judgement: Judgement
    printed: str  # as it was written
    right: str  # TeX or numbers; empty where there is none to give
    right_is_tex: bool
    note: str


@dataclass(frozen=True)
class JudgedNotes:
    """A document with all verdicts."""

    notes: Notes
    blocks: tuple[Judged, ...]

    @property
    def errata(self) -> tuple[Finding, ...]:
        """What is false."""
        return tuple(one for one in self.findings if one.judgement is Judgement.FALSE)

    @property
    def unreadable(self) -> tuple[Finding, ...]:
        """What could not be read."""
        return tuple(one for one in self.findings if one.judgement is Judgement.UNREADABLE)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is false, unreadable or undecided, in the order of the document."""
        return tuple(one for block in self.blocks for one in _findings(block))

    @property
    def good(self) -> bool:
        """Whether every claim was read and none is false."""
        return not self.errata and not self.unreadable

    @property
    def verdicts(self) -> dict[str, Judgement]:
        """The verdict of every id: the worst of what bears it."""
        found: dict[str, Judgement] = {}
        for name, judgement in self._all():
            found[name] = min(found.get(name, judgement), judgement, key=lambda one: one.rank)
        return found

    @property
    def counts(self) -> dict[Judgement, int]:
        """How many claims and numbers got which verdict."""
        every = [judgement for _, judgement in self._all()]
        return {judgement: every.count(judgement) for judgement in Judgement}

    def _all(self) -> Iterator[tuple[str, Judgement]]:
        for block in self.blocks:
            if isinstance(block, JudgedClaim):
                yield block.claim.id, block.judgement
            else:
                if not block.statements or block.example.problem:
                    yield block.example.id, block.judgement
                for top in block.statements:
                    yield from ((one.statement.id, one.judgement) for one in top.all())


def _findings(block: Judged) -> Iterator[Finding]:
    bad = {Judgement.UNREADABLE, Judgement.FALSE, Judgement.UNDECIDED}
    if isinstance(block, JudgedClaim):
        one = block.claim
        if block.judgement in bad:
            said = one.equals or one.claim or one.f
            yield Finding(
                one.id, one.line, block.anchor, block.judgement, said, block.right_tex, True, (*block.explanations, block.note)[0]
            )
        return
    if block.example.problem and block.judgement is Judgement.UNREADABLE:
        yield Finding(block.example.id, block.example.line, block.anchor, block.judgement, "", "", False, block.example.problem)
    for top in block.statements:
        for it in top.all():
            if it.judgement in bad:
                its = it.statement
                yield Finding(its.id, its.line, it.anchor, it.judgement, its.source, it.right, False, it.note)
