"""A run as JUnit XML, which build servers read: one test case for each rule, property and oracle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from matcalc.report.words import clean
from matcalc.verdict import Run, Status, Verdict


@dataclass(frozen=True)
class _Case:
    name: str
    outcome: str  # "", "failure", "error" or "skipped"
    sentence: str


def junit(run: Run) -> str:
    """The XML. Refuted is a failure, a problem is an error; inconclusive and vacuous are skipped, since nothing was shown."""
    root = ET.Element("testsuites", name="matcalc", time=f"{run.seconds:.3f}")
    totals = {"tests": 0, "failure": 0, "error": 0, "skipped": 0}
    for topic in dict.fromkeys(verdict.topic for verdict in run.verdicts):
        judged = [(verdict, list(_cases(verdict))) for verdict in run.verdicts if verdict.topic == topic]
        suite = _suite(root, topic, [case for _, own in judged for case in own], sum(v.seconds for v, _ in judged), totals)
        suite.set("timestamp", clean(run.started))
        for verdict, own in judged:
            for case in own:
                _append(suite, f"{verdict.topic}.{verdict.rule}", case, verdict.seconds / len(own))
    if run.problems:
        cases = [_Case(problem.where, "error", problem.sentence) for problem in run.problems]
        suite = _suite(root, "problems", cases, 0.0, totals)
        for case in cases:
            _append(suite, "problems", case, 0.0)
    root.attrib |= {
        "tests": str(totals["tests"]),
        "failures": str(totals["failure"]),
        "errors": str(totals["error"]),
        "skipped": str(totals["skipped"]),
    }
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


_OUTCOMES = {Status.PROVED: "", Status.VERIFIED: "", Status.REFUTED: "failure", Status.INCONCLUSIVE: "skipped", Status.VACUOUS: "skipped"}


def _cases(verdict: Verdict) -> Iterator[_Case]:
    for evidence in verdict.evidence:
        outcome = _OUTCOMES[evidence.status]
        yield _Case(
            f"{evidence.property} beside {evidence.oracle}",
            outcome,
            (evidence.note or verdict.reason or evidence.status) if outcome else "",
        )
    if verdict.status not in {evidence.status for evidence in verdict.evidence}:
        outcome = _OUTCOMES[verdict.status]
        yield _Case("verdict", outcome, (verdict.reason or verdict.status) if outcome else "")


def _suite(root: ET.Element, name: str, cases: list[_Case], seconds: float, totals: dict[str, int]) -> ET.Element:
    tally = {outcome: sum(case.outcome == outcome for case in cases) for outcome in ("failure", "error", "skipped")}
    totals["tests"] += len(cases)
    for outcome, n in tally.items():
        totals[outcome] += n
    return ET.SubElement(
        root, "testsuite", name=clean(name), tests=str(len(cases)), failures=str(tally["failure"]), errors=str(tally["error"]),
        skipped=str(tally["skipped"]), time=f"{seconds:.3f}",
    )  # fmt: skip


def _append(suite: ET.Element, classname: str, case: _Case, seconds: float) -> None:
    element = ET.SubElement(suite, "testcase", classname=clean(classname), name=clean(case.name), time=f"{seconds:.3f}")
    if case.outcome:
        ET.SubElement(element, case.outcome, message=clean(case.sentence)).text = clean(case.sentence)
