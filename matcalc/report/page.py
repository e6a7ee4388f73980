"""Verdicts -> what stands on a page: plain data, already in order and in words, with no markup but that of the plots."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import pairwise
from math import isfinite, log10
from typing import Any

from matcalc.graph import Graph
from matcalc.report import plots
from matcalc.report.files import ReportError
from matcalc.report.words import KINDS, ORACLES, count, executed, finite_or_infinite, number, odd_one_out, power_of_ten, whole_digits
from matcalc.verdict import Counterexample, Coverage, Evidence, Run, Statement, Status, Verdict, Worst

TOLERANCE = "tolerance = 100 × condition × machine epsilon × scale"
NEAR = 0.1  # a passing rule whose margin is larger deserves a look
LARGEST_GRID = 6
ORDER = (Status.REFUTED, Status.INCONCLUSIVE, Status.VACUOUS, Status.VERIFIED, Status.PROVED)
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)  # no file may be called so on Windows


@dataclass(frozen=True)
class Formula:
    """One displayed equation of a statement, and what it is."""

    label: str
    tex: str
    parts: tuple[str, ...]  # the same, cut where it sets several formulas side by side
    main: bool  # the one that stands for the rule on the index
    status: Status | None = None  # what came of executing it beside the code, if that was tried


@dataclass(frozen=True)
class Cell:
    """One number of a small matrix."""

    text: str
    heat: int = 0  # 0 to 4: how large it is among its neighbours, where that matters
    worst: bool = False


@dataclass(frozen=True)
class Shown:
    """An array of a counterexample: as a grid where it is small, else as text."""

    title: str
    grid: tuple[tuple[Cell, ...], ...]
    text: str


@dataclass(frozen=True)
class Example:
    """The case at which a rule is wrong."""

    sizes: str
    compared: str
    inputs: tuple[Shown, ...]
    values: tuple[Shown, ...]  # expected, got, difference
    entry: str  # the entry in which they differ most, in words; "" if it is not known
    entry_got: str
    entry_expected: str
    entry_ratio: str
    votes: tuple[tuple[str, str], ...]
    odd: str  # which of the voters disagrees with the others; "" if that is not clear


@dataclass(frozen=True)
class Suspicion:
    """One explanation of what is wrong."""

    kind: str
    sentence: str
    residual: str


@dataclass(frozen=True)
class Census:
    """Which special points were looked at."""

    summary: str
    lines: tuple[Coverage, ...]  # what could not be judged first


@dataclass(frozen=True)
class Link:
    """Another rule."""

    name: str
    slug: str


@dataclass(frozen=True)
class RulePage:
    """All that is said of one rule."""

    verdict: Verdict
    slug: str
    formulas: tuple[Formula, ...]
    margin: float  # not a number counts as infinite: it must not pass for small
    bar: float  # length of the margin's bar, 0 to 1, logarithmic; the tolerance stands at BAR_TOLERANCE
    plots: tuple[plots.Plot, ...]
    example: Example | None
    error: str  # how large the worst error of a refuted rule is beside its tolerance, in words
    suspicions: tuple[Suspicion, ...]
    executed: str  # what came of executing its equations; "" if none was
    graph: Graph | None  # of the printed value
    proof: str  # what exact arithmetic says, or why it says nothing; "" if it was not asked
    census: Census | None
    digits: str  # what the table of digits shows; "" if there is none, or nothing right that they could be digits of
    wrong: str  # what became of wrong versions; "" if none were tried
    again: str
    previous: Link | None = None
    next: Link | None = None

    @property
    def statement(self) -> tuple[str, ...]:
        """The equation that stands for the rule, in its parts."""
        return next((formula.parts for formula in self.formulas if formula.main), ())

    @property
    def measured(self) -> bool:
        """Whether any error was measured, so that its margin is one."""
        return any(e.margins for e in self.verdict.evidence)

    @property
    def oracles(self) -> tuple[str, ...]:
        """Who judged it."""
        return tuple(dict.fromkeys(e.oracle for e in self.verdict.evidence if e.cases))

    @property
    def near(self) -> bool:
        """Whether the rule passed, but not by far."""
        return self.verdict.status.good and self.margin > NEAR

    @property
    def searched(self) -> str:
        """The words by which it is found."""
        verdict = self.verdict
        parts = [
            verdict.rule,
            verdict.topic,
            verdict.summary,
            verdict.status,
            *verdict.equations,
            *(s.get("full", "") for s in verdict.sources),
        ]
        return " ".join(parts).lower()


@dataclass(frozen=True)
class OracleLine:
    """How much one oracle judged."""

    oracle: str
    rules: int
    cases: int
    skipped: int
    margin: float


@dataclass(frozen=True)
class IndexPage:
    """A whole run."""

    run: Run
    pages: tuple[RulePage, ...]  # failures first, then the closest to their tolerance
    counts: dict[Status, int]
    topics: dict[str, dict[Status, int]]
    oracles: tuple[OracleLine, ...]

    @property
    def cases(self) -> int:
        """Cases of all rules together."""
        return sum(verdict.cases for verdict in self.run.verdicts)

    @property
    def skipped(self) -> int:
        """Comparisons that an oracle could not make."""
        return sum(evidence.skipped for verdict in self.run.verdicts for evidence in verdict.evidence)

    @property
    def headline(self) -> str:
        """What the run found, in one line."""
        total, verified = len(self.run.verdicts), sum(n for status, n in self.counts.items() if status.good)
        proved = self.counts[Status.PROVED]
        if not total:
            return "No rule was verified"
        if total == proved == 1:
            return "1 rule proved"
        who = f"{verified} of {count(total, 'rule')}" if verified < total else f"All {count(total, 'rule')}" if total > 1 else "1 rule"
        return f"{who} verified" + (f", {proved} of them proved" if proved else "")

    def of(self, status: Status) -> list[RulePage]:
        """The rules with this status."""
        return [page for page in self.pages if page.verdict.status is status]


def index_page(run: Run) -> IndexPage:
    """The pages of a run; raises ReportError if two rules share a name, since their pages would too."""
    pages = [_rule_page(verdict, run) for verdict in run.verdicts]
    seen: set[str] = set()
    for page in pages:
        if page.slug in seen:
            raise ReportError(
                f"two verdicts of this run are about a rule called {page.verdict.rule}, but each rule has one page; rename one"
            )
        seen.add(page.slug)
    linked = tuple(_linked(pages))
    topics: dict[str, dict[Status, int]] = {}
    for verdict in run.verdicts:
        tally = topics.setdefault(verdict.topic, dict.fromkeys(ORDER, 0))
        tally[verdict.status] += 1
    return IndexPage(
        run,
        tuple(sorted(linked, key=lambda page: (ORDER.index(page.verdict.status), -page.margin, page.verdict.rule))),
        {status: run.count(status) for status in ORDER},
        dict(sorted(topics.items())),
        _oracles(run),
    )


def slug(name: str) -> str:
    """A file name for a rule, made of small letters, digits and underscores; other names get a mark that keeps them apart."""
    if re.fullmatch(r"[a-z0-9_]{1,60}", name) and not _DEVICES.fullmatch(name):
        return name
    mark = sha256(name.encode("utf-8", errors="surrogatepass")).hexdigest()[:8]
    return f"{re.sub(r'[^a-z0-9]+', '-', name.lower())[:40].strip('-') or 'rule'}-{mark}"


def _linked(pages: list[RulePage]) -> Iterator[RulePage]:
    links = [None, *(Link(page.verdict.rule, page.slug) for page in pages), None]
    for page, before, after in zip(pages, links, links[2:], strict=False):
        yield replace(page, previous=before, next=after)


def _oracles(run: Run) -> tuple[OracleLine, ...]:
    lines: dict[str, OracleLine] = {}
    for verdict in run.verdicts:
        for name in dict.fromkeys(evidence.oracle for evidence in verdict.evidence if evidence.status is not Status.VACUOUS):
            old = lines.get(name, OracleLine(name, 0, 0, 0, 0.0))
            mine = [evidence for evidence in verdict.evidence if evidence.oracle == name]
            worst = max(finite_or_infinite(e.margin) for e in mine)
            lines[name] = OracleLine(
                name,
                old.rules + 1,
                old.cases + sum(e.cases for e in mine),
                old.skipped + sum(e.skipped for e in mine),
                max(old.margin, worst),
            )
    return tuple(sorted(lines.values(), key=lambda line: list(ORACLES).index(line.oracle) if line.oracle in ORACLES else len(ORACLES)))


# --- one rule ---------------------------------------------------------------------------------------------------------------


def _rule_page(verdict: Verdict, run: Run) -> RulePage:
    told = [evidence for evidence in verdict.evidence if evidence.status is not Status.INCONCLUSIVE]
    margin = max((finite_or_infinite(m) for evidence in told for m in evidence.margins), default=0.0)
    rounded = [m for evidence in verdict.evidence if evidence.oracle != "balls" for m in evidence.margins]  # balls do not round at 1e-16
    drawn = (
        plots.step_curve(verdict.curve) if verdict.curve else None,
        plots.error_against_condition(verdict.conditions, verdict.accuracies),
        plots.margins(rounded),
    )
    return RulePage(
        verdict=verdict,
        slug=slug(verdict.rule),
        formulas=tuple(_formulas(verdict.equations, verdict.statements)),
        margin=margin,
        bar=_bar(margin),
        plots=tuple(plot for plot in drawn if plot),
        example=_example(verdict.counterexample) if verdict.counterexample else None,
        error=_error(verdict),
        suspicions=tuple(
            Suspicion(KINDS.get(one.kind, one.kind.replace("_", " ")), one.sentence, number(one.residual)) for one in verdict.explanations
        ),
        executed=executed([verdict]),
        graph=verdict.graph,
        proof=_proof(verdict.evidence),
        census=_census(verdict.census) if verdict.census else None,
        digits=_digits(verdict),
        wrong=_wrong(verdict),
        again=f"{run.command} -k {shlex.quote(verdict.rule)}",  # of two -k the last counts
    )


def _proof(evidence: Sequence[Evidence]) -> str:
    """What exact arithmetic says of a rule."""
    exact = [e for e in evidence if e.oracle in {"prime field", "balls", "exact arithmetic"}]
    if not exact:
        return ""
    status = {e.status for e in exact}
    if status == {Status.PROVED}:
        chance = power_of_ten(max(e.bound for e in exact))
        return f"Proved in exact arithmetic: a wrong rule would pass with a probability of at most {chance}."
    if Status.REFUTED in status:
        return "Refuted in exact arithmetic."
    if status == {Status.VERIFIED}:
        digits = min(whole_digits(e.worst_error) for e in exact)
        return f"Not proved, but balls of real numbers agree to {digits} digits, where 30 are asked for."
    return f"Not proved: {next((e.note for e in exact if not e.status.good and e.note), 'exact arithmetic could not tell')}."


def _census(lines: Sequence[Coverage]) -> Census:
    judged = sum(line.judged > 0 for line in lines)
    points = sum(line.cases for line in lines)
    summary = f"{count(len(lines), 'kind')} of special points, {judged} judged, {count(points, 'point')}"
    return Census(summary, tuple(sorted(lines, key=lambda line: line.judged > 0)))


def _digits(verdict: Verdict) -> str:
    """What a rule keeps in shorter formats of what it gives in double precision, which must be right to be compared with."""
    said: list[str] = []
    for one in verdict.digits if verdict.status.good else ():
        theirs = f"; JAX's own derivative keeps {one.autodiff[0]:.1f} and {one.autodiff[1]:.1f}" if one.autodiff else ""
        said.append(
            f"At the same {count(one.cases, 'point')} in {one.dtype} the rule keeps {one.rule[0]:.1f} decimal digits at the median and "
            f"{one.rule[1]:.1f} at the worst{theirs}."
        )
    return " ".join(said)


def _wrong(verdict: Verdict) -> str:
    """How many wrong versions of a rule were refuted."""
    wrong = verdict.wrong
    if wrong is None:
        return ""
    if not wrong.total:
        return f"No wrong version could be tried{f': {wrong.reason}' if wrong.reason else ''}."
    more = [
        f"{count(n, 'edit')} {words}"
        for n, words in (
            (wrong.equivalents, "changed nothing"),
            (wrong.disputed, "refuted though no difference was found"),
            (wrong.unreached, "on lines that no case comes by"),
        )
        if n
    ]
    left = f" Not counted: {'; '.join(more)}." if more else ""
    return f"{wrong.killed} of {count(wrong.total, 'wrong version')}, made by machine, refuted.{left}"


BAR_TOLERANCE = 0.8
_BAR_DECADES = 5.0  # a bar begins this many decades below its end, which is one decade above the tolerance


def _bar(margin: float) -> float:
    if margin <= 0:
        return 0.0
    if not isfinite(margin):
        return 1.0
    return round(min(max((log10(margin) + _BAR_DECADES - 1) / _BAR_DECADES, 0.02), 1.0), 3)


def _formulas(equations: Sequence[str], statements: Sequence[Statement]) -> Iterator[Formula]:
    """The equations with what they are: value first, then differential, then adjoint, then what the statement also defines."""
    bars = [i for i, tex in enumerate(equations) if r"\bar" in tex]
    main = next((i for i in bars if equations[i].lstrip().startswith(r"\bar")), bars[-1] if bars else 0)
    for i, tex in enumerate(equations):
        seen = {one.status for one in statements if one.line == i}
        status = next((s for s in (Status.REFUTED, Status.VACUOUS, Status.VERIFIED) if s in seen), None)
        yield Formula(_label(i, tex, after_adjoint=bool(bars) and i > main), tex, tuple(_parts(tex)), i == main, status)


def _parts(tex: str) -> Iterator[str]:
    r"""The formulas that one equation sets side by side with `\quad`, so that they may stand on lines of their own."""
    depth = begin = 0
    for token in re.finditer(r"\\(begin|left|end|right|quad|qquad)(?![A-Za-z])|\\.|[{}]", tex):
        word = token[1] or token[0]
        depth += (word in {"{", "begin", "left"}) - (word in {"}", "end", "right"})
        if word in {"quad", "qquad"} and depth == 0:
            yield tex[begin : token.start()].strip().rstrip(",;").strip()
            begin = token.end()
    yield tex[begin:].strip()


def _label(position: int, tex: str, *, after_adjoint: bool) -> str:
    if position == 0:
        return "Value"
    left = tex.partition("=")[0]
    if r"\bar" in left:
        return "Adjoint"
    if not after_adjoint and re.match(r"\s*(\\mathrm\s*\{d\}|\\operatorname\{d\}|d)\s*(\\?[A-Za-z]|\()", left):
        return "Differential"
    return "where"


# --- a counterexample -------------------------------------------------------------------------------------------------------


def _example(case: Counterexample) -> Example:
    got, expected = _rows(case.got), _rows(case.expected)
    worst = case.worst
    place = _place(worst.index) if worst else None
    difference = None
    if got and expected and [len(row) for row in got] == [len(row) for row in expected]:
        difference = [[a - b for a, b in zip(g, e, strict=True)] for g, e in zip(got, expected, strict=True)]
    values = [_shown("expected", case.expected, place), _shown("got", case.got, place)]
    if difference is not None and values[0].grid:
        values.append(Shown("difference", _grid(difference, place, heat=True), ""))
    return Example(
        sizes=", ".join(f"{name} = {size}" for name, size in case.sizes.items()),
        compared=case.compared,
        inputs=tuple(_shown(name, value) for name, value in case.inputs.items()),
        values=tuple(values),
        entry=_entry(worst) if worst else "",
        entry_got=number(worst.got, 6) if worst else "",
        entry_expected=number(worst.expected, 6) if worst else "",
        entry_ratio=number(worst.ratio, 4) if worst else "",
        votes=tuple((pair, number(difference)) for pair, difference in case.votes.items()),
        odd=odd_one_out(case.votes),
    )


def _error(verdict: Verdict) -> str:
    """The worst error of a refuted rule, in the norm of the whole array, beside its tolerance."""
    refuted = [e for e in verdict.evidence if e.status is Status.REFUTED and e.margins]
    if not refuted:
        return ""
    worst = max(refuted, key=lambda e: finite_or_infinite(e.margin))
    size = f" (relative {number(worst.worst_error / worst.scale)})" if worst.scale else ""
    beside = f"{worst.property} beside {'itself' if worst.oracle == 'itself' else worst.oracle}"
    return f"{number(worst.worst_error)}{size}, tolerance {number(worst.tolerance)}, off by {number(worst.margin)} tolerances ({beside})"


def _entry(worst: Worst) -> str:
    return f"entry [{', '.join(map(str, worst.index))}] of {worst.of}" if worst.index else worst.of


def _shown(title: str, value: Any, worst: tuple[int, int] | None = None) -> Shown:
    rows = _rows(value)
    if rows is not None and len(rows) <= LARGEST_GRID and len(rows[0]) <= LARGEST_GRID:
        return Shown(title, _grid(rows, worst), "")
    return Shown(title, (), json.dumps(value, default=repr))


def _rows(value: Any) -> list[list[float]] | None:
    """A number, a vector (as a column) or a matrix as rows; None for anything else, and for what is empty."""
    if _is_number(value):
        return [[value]]
    if not isinstance(value, (list, tuple)) or not value:
        return None
    if all(map(_is_number, value)):
        return [[entry] for entry in value]
    if not all(isinstance(row, (list, tuple)) and row and all(map(_is_number, row)) for row in value):
        return None
    rows = [list(row) for row in value]
    return rows if all(len(a) == len(b) for a, b in pairwise(rows)) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _grid(rows: list[list[float]], worst: tuple[int, int] | None, *, heat: bool = False) -> tuple[tuple[Cell, ...], ...]:
    largest = max((abs(x) for row in rows for x in row if isfinite(x)), default=0.0)

    def level(x: float) -> int:
        if not heat:
            return 0
        return 4 if not isfinite(x) else round(4 * abs(x) / largest) if largest else 0

    return tuple(
        tuple(Cell(number(float(x), 4), level(x), (i, j) == worst) for j, x in enumerate(row)) for i, row in enumerate(rows)
    )  # fmt: skip


def _place(index: tuple[int, ...]) -> tuple[int, int] | None:
    """Where an entry stands in the rows of `_rows`."""
    match index:
        case ():
            return 0, 0
        case (i,):
            return i, 0
        case (i, j):
            return i, j
        case _:
            return None
