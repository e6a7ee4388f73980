"""The verdict on every claim and every number of a document."""

from __future__ import annotations

from matcalc.notes.anchors import Anchors
from matcalc.notes.claiming import decided
from matcalc.notes.examples import Work
from matcalc.notes.reading import Claim, Notes
from matcalc.notes.results import Judged, JudgedNotes


def judge(notes: Notes) -> JudgedNotes:
    """Every claim decided and every example worked; nothing of it is written in the document or here."""
    anchors = Anchors("n-")
    judged: list[Judged] = []
    work: Work | None = None
    for block in notes.blocks:
        if isinstance(block, Claim):
            judged.append(decided(block, anchors.next(block.id)))
            continue
        problem = block.problem
        if block.continued and work is None:
            problem = problem or "there is no example above that could be continued"
        if work is None or not block.continued:
            work = Work(anchors)
        judged.append(work.example(block, problem))
    return JudgedNotes(notes, tuple(judged))
