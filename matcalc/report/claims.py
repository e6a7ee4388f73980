"""A run -> the claims that it supports, each with its exceptions, and what it does not claim: plain data, already in words.

A claim counts the rules that the evidence in question speaks for. Rules it speaks against, rules it cannot decide on and rules it
does not look at are named, so that no claim is larger than what was seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from matcalc.report.page import IndexPage, Link, RulePage
from matcalc.report.words import PROPERTIES, count, finite_or_infinite, listed, number, power_of_ten, spaced, whole_digits
from matcalc.verdict import Coverage, Evidence, Status

EXAMPLE = 36
"Entries of the gradient in the example of how a wrong one could hide."
HOPE = 0.8
"Probability that a standard normal number is smaller than a small x, in units of x."
PROBES = 2
"Tangents at each case: the fewest that any profile draws."
_AUTODIFF = ("JAX forward", "JAX reverse")
_DIFFERENCES = ("finite differences", "complex step")
_CONSISTENT = ("adjoint", "linear", "shape", "pure", "dtype", "empty", "batch", "layout", "poison", "structure", "jacobian")
_UNTRIED = "not tried in this run: matcalc verify --wrong"


@dataclass(frozen=True)
class Claim:
    """One thing that a run shows, and of which rules it does not."""

    sentence: str
    status: Status  # proved or verified: it holds; refuted, inconclusive: there are exceptions; vacuous: nothing was tried
    tally: str  # "31 of 31"
    notes: tuple[str, ...] = ()
    where: tuple[tuple[str, str], ...] = ()  # what to look at, and its address
    against: tuple[Link, ...] = ()
    unsure: tuple[Link, ...] = ()
    absent: tuple[Link, ...] = ()

    @property
    def word(self) -> str:
        """Whether it holds."""
        return {Status.REFUTED: "has exceptions", Status.INCONCLUSIVE: "in part", Status.VACUOUS: "not tried"}.get(self.status, "holds")


@dataclass(frozen=True)
class Row:
    """A line of a table of the claims page: what it is about, and numbers."""

    name: str
    meaning: str
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class ClaimsPage:
    """All that a run claims and does not."""

    whole: IndexPage
    digest: str  # SHA-256 of results.json
    claims: tuple[Claim, ...]
    refused: tuple[tuple[str, tuple[Link, ...]], ...]  # what is not claimed, and the rules concerned
    luck: str  # how likely a wrong entry goes unnoticed
    oracles: tuple[str, ...]  # the columns of the grid
    grid: tuple[tuple[str, tuple[int, ...], int], ...]  # topic, rules that each oracle judged, rules
    properties: tuple[Row, ...]  # rules, comparisons, left out
    kinds: tuple[Row, ...]  # of special points: rules, points, judged
    mistakes: tuple[Row, ...]  # by kind: refuted, truly wrong
    hunters: tuple[Row, ...]  # by the property that refutes first: wrong versions
    survivors: tuple[tuple[Link, str], ...]


def claims_page(whole: IndexPage, digest: str) -> ClaimsPage:
    """The claims of a run, whose results.json has this SHA-256."""
    oracles = tuple(line.oracle for line in whole.oracles)
    tried = [page for page in whole.pages if page.verdict.wrong]
    mistakes: dict[str, list[int]] = {}
    hunters: Counter[str] = Counter()
    for wrong in (page.verdict.wrong for page in tried):
        for kind, (killed, total) in wrong.kinds.items() if wrong else ():
            old = mistakes.setdefault(kind, [0, 0])
            old[:] = [old[0] + killed, old[1] + total]
        hunters.update(wrong.properties if wrong else {})
    return ClaimsPage(
        whole,
        digest,
        tuple(_claims(whole.pages)),
        tuple(_refused(whole)),
        _luck(whole.pages),
        oracles,
        tuple(_grid(whole, oracles)),
        tuple(_properties(whole.pages)),
        tuple(_kinds(whole.pages)),
        tuple(Row(kind, "", tuple(sums)) for kind, sums in sorted(mistakes.items(), key=lambda item: (-item[1][1], item[0])) if sums[1]),
        tuple(Row(name, PROPERTIES.get(name, ""), (n,)) for name, n in hunters.most_common()),
        tuple((_link(page), survivor) for page in tried for survivor in (page.verdict.wrong.survivors if page.verdict.wrong else ())),
    )


# --- rules by what their evidence says ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """Rules sorted by what some of their evidence says."""

    agree: list[RulePage]
    against: list[RulePage]
    unsure: list[RulePage]
    absent: list[RulePage]
    evidence: list[Evidence]  # of those that agree

    @property
    def asked(self) -> int:
        """How many rules were looked at so."""
        return len(self.agree) + len(self.against) + len(self.unsure)

    @property
    def status(self) -> Status:
        """Whether there are exceptions; a rule that was not looked at is none, since the claim does not count it."""
        if not self.asked:
            return Status.VACUOUS
        return Status.REFUTED if self.against else Status.INCONCLUSIVE if self.unsure else Status.VERIFIED

    def claim(self, says: str, *notes: str, where: Iterable[tuple[str, str]] = (), name_absent: bool = True) -> Claim:
        """The claim that so many rules do what `says` says, whose verb comes first and in the plural."""
        verb, _, rest = says.partition(" ")
        verb = verb if len(self.agree) > 1 else {"have": "has", "are": "is"}.get(verb, f"{verb}s")
        if not self.agree:
            who = "No rule"
        elif len(self.agree) < self.asked:
            who = f"{len(self.agree)} of {count(self.asked, 'rule')}"
        elif self.asked == 1:
            who = "The one rule looked at"
        else:
            who = f"All {count(self.asked, 'rule')}" + (" looked at" if self.absent else "")
        absent = self.absent if name_absent else []
        return Claim(
            f"{who} {verb} {rest}.",
            self.status,
            f"{len(self.agree)} of {self.asked}",
            tuple(filter(None, notes)),
            tuple(where),
            *(tuple(map(_link, pages)) for pages in (self.against, self.unsure, absent)),
        )


def _find(pages: Sequence[RulePage], chosen: Callable[[Evidence], bool]) -> _Found:
    """The rules by what the chosen evidence says: against where any of it is, unsure where nobody could tell of some property."""
    found = _Found([], [], [], [], [])
    for page in pages:
        mine = [e for e in page.verdict.evidence if chosen(e) and e.status is not Status.VACUOUS]
        if not mine:
            found.absent.append(page)
        elif any(e.status is Status.REFUTED for e in mine):
            found.against.append(page)
        elif {e.property for e in mine} == {e.property for e in mine if e.status.good}:
            found.agree.append(page)
            found.evidence.extend(mine)
        else:
            found.unsure.append(page)
    return found


def _beside(*oracles: str) -> Callable[[Evidence], bool]:
    return lambda e: e.oracle in oracles and e.property in {"jvp", "vjp"}


def _of(*properties: str) -> Callable[[Evidence], bool]:
    return lambda e: e.property in properties


def _link(page: RulePage) -> Link:
    return Link(page.verdict.rule, page.slug)


# --- the claims -----------------------------------------------------------------------------------------------------------------


def _claims(pages: Sequence[RulePage]) -> Iterator[Claim]:
    """Every claim there is evidence for, the strongest oracles first, and the wrong versions last."""
    grid, table = ("by topic", "#coverage"), ("by property", "#properties")
    autodiff = _find(pages, _beside(*_AUTODIFF))
    if autodiff.asked:
        cases = sum(page.verdict.cases for page in autodiff.agree)
        tried = f", on {count(cases, 'case')}" if cases else ""
        yield autodiff.claim(f"agree with JAX's own derivative within tolerance{tried}", where=[grid])
    numeric = _find(pages, _beside(*_DIFFERENCES))
    if numeric.asked:
        yield numeric.claim("agree with extrapolated finite differences or the complex step, where these are sharp enough", where=[grid])
    yield from _exact(pages)
    built = _find(pages, lambda e: e.oracle == "factors first")
    if built.asked:
        points = sum(max(e.cases for e in p.verdict.evidence if e.oracle == "factors first") for p in built.agree)
        inputs = count(points, "input") if points else "inputs"
        says = f"give back the factors from which {inputs} were built, and their tangents"
        yield built.claim(says, where=[_index("factors first")], name_absent=False)
    yield from _special(pages)
    twice = _find(pages, _of("second"))
    if twice.asked:
        yield twice.claim("have right second derivatives when the hand-written vjp is differentiated again", where=[table])
    single = _find(pages, _of("float32"))
    if single.asked:
        yield single.claim(
            "stay within the bounds for float32, which leave room for right but unstable formulas", _digits(pages), where=[table]
        )
    alone = _find(pages, _of(*_CONSISTENT))
    if alone.asked:
        says = "are consistent: vjp adjoint to jvp, both linear, inputs left alone, shapes, dtypes and memory layouts respected"
        yield alone.claim(says, where=[table])
    elsewhere = _find(pages, _of("agreement"))
    if elsewhere.asked:
        libraries = listed(dict.fromkeys(e.oracle for e in elsewhere.evidence)) or "other libraries"
        yield elsewhere.claim(f"give the same numbers on {libraries} as on NumPy", where=[table])
    yield _wrong(pages)


def _exact(pages: Sequence[RulePage]) -> Iterator[Claim]:
    """What exact arithmetic proves, and what balls of real numbers say."""
    proved = _find(pages, lambda e: e.oracle == "prime field")
    balls = _find(pages, lambda e: e.oracle == "balls")
    if proved.asked:
        bounds = [max(e.bound for e in page.verdict.evidence if e.oracle == "prime field") for page in proved.agree]
        note = (
            f"A wrong rule would pass with a probability of at most {power_of_ten(max(bounds, default=0.0))} (Schwartz-Zippel), "
            f"and some wrong one among them with at most {power_of_ten(sum(bounds))}."
        )
        claim = proved.claim("are proved in exact arithmetic", note if bounds else "", where=[_index("prime field")], name_absent=False)
        yield replace(claim, status=Status.PROVED) if claim.status is Status.VERIFIED else claim
    if balls.asked:
        digits = min((whole_digits(e.worst_error) for e in balls.evidence), default=0)
        says = "agree in balls of real numbers" + (f", to {digits} digits or more" if digits else "")
        yield balls.claim(says, "Evidence to many digits at random points, but no proof.", where=[_index("balls")], name_absent=False)


def _special(pages: Sequence[RulePage]) -> Iterator[Claim]:
    """What was looked at on purpose."""
    found = _find(pages, _of("special", "extremes"))
    good = [page for page in pages if page.verdict.status.good and page.verdict.census]  # of others the census may be cut short
    lines = [line for page in good for line in page.verdict.census]
    if found.asked or lines:
        points, judged = sum(line.cases for line in lines), sum(line.judged for line in lines)
        seen = (
            f"Every special kind of point that the domains contain was looked at: {count(points, 'point')} of "
            f"{count(len({_kind(line) for line in lines}), 'kind')} in {count(len(good), 'verified rule')}."
        )
        weak = f"At {count(points - judged, 'point')} no oracle could tell; they are named on the rules' pages." if points > judged else ""
        where = [("by kind", "#census")] if lines else []
        yield found.claim("are right at special points", seen if lines else "", weak, where=where)
    kinks = _find(pages, _of("kink"))
    if kinks.asked:
        says = "answer with a number between the one-sided derivatives where the function has a kink"
        yield kinks.claim(says, where=[_index("one-sided differences")], name_absent=False)


def _digits(pages: Sequence[RulePage]) -> str:
    """How often a rule keeps as many digits as JAX's derivative does."""
    every = (digits for page in pages if page.digits for digits in page.verdict.digits)
    pairs = [(d.rule[1], d.autodiff[1]) for d in every if d.dtype == "float32" and d.autodiff]
    if not pairs:
        return ""
    better = sum(mine >= theirs for mine, theirs in pairs)
    worst = min(mine for mine, _ in pairs)
    return (
        f"At its worst point the hand-written rule keeps at least as many digits as JAX's own derivative in {better} of "
        f"{count(len(pairs), 'rule')}; the fewest digits that a rule keeps are {number(worst)}."
    )


def _wrong(pages: Sequence[RulePage]) -> Claim:
    """What became of the wrong versions, or how to try them."""
    tried = [(page, page.verdict.wrong) for page in pages if page.verdict.wrong]
    killed, total = sum(w.killed for _, w in tried), sum(w.total for _, w in tried)
    if not total:
        return Claim(
            "How many wrong versions of the rules would be refuted is not known.", Status.VACUOUS, "–", (f"{_UNTRIED.capitalize()}.",)
        )
    same, disputed, unreached = (sum(getattr(w, word) for _, w in tried) for word in ("equivalents", "disputed", "unreached"))
    left_out = [f"{count(same, 'edit')} changed nothing"] * bool(same)
    left_out += [f"{disputed} {'was' if disputed == 1 else 'were'} refuted though no difference from the rule was found"] * bool(disputed)
    left_out += [f"{unreached} stand on lines that no case comes by"] * bool(unreached)
    return Claim(
        f"{spaced(killed)} of {count(total, 'wrong version')} of {count(len(tried), 'rule')}, made by machine, "
        f"{'is' if total == 1 else 'are'} refuted.",
        Status.VERIFIED if killed == total else Status.REFUTED,
        f"{spaced(killed)} of {spaced(total)}",
        (f"Not counted: {listed(left_out)}.",) if left_out else (),
        (("by kind of mistake", "#wrong"), ("by property", "#hunters")),
        against=tuple(_link(page) for page, wrong in tried if wrong.killed < wrong.total),
        absent=tuple(_link(page) for page in pages if not page.verdict.wrong or not page.verdict.wrong.total),
    )


def _index(oracle: str) -> tuple[str, str]:
    """The list of rules that an oracle judged."""
    return "these rules", f"index.html#oracle={oracle.replace(' ', '+')}"


# --- what is not claimed --------------------------------------------------------------------------------------------------------


def _refused(whole: IndexPage) -> Iterator[tuple[str, tuple[Link, ...]]]:
    """What a reader might take for shown, and is not."""
    pages, run = whole.pages, whole.run
    if run.problems:
        yield f"Anything of {count(len(run.problems), 'file or declaration')} that could not be read.", ()
    if len(pages) < run.selected:
        yield f"Anything of {count(run.selected - len(pages), 'rule')} that the run did not come to.", ()
    for status, words in ((Status.INCONCLUSIVE, "The rules that stay inconclusive:"), (Status.VACUOUS, "The rules without a case:")):
        if whole.of(status):
            yield words, tuple(_link(page) for page in whole.of(status))
    if whole.skipped:
        yield f"Comparisons that an oracle was too weak to make: {count(whole.skipped, 'comparison')}, counted on the rules' pages.", ()
    silent = tuple(_link(page) for page in pages if any(e.oracle == "exact arithmetic" for e in page.verdict.evidence))
    if silent:
        yield "Anything in exact arithmetic of rules that have no exact form, which the other oracles alone judged:", silent
    yield "Sizes beyond those that were drawn, which are small; condition numbers beyond 1e12; complex and sparse arrays.", ()
    yield "Points outside a rule's domain.", ()
    kinks = (
        "Where a function has no derivative: anything beyond lying between the one-sided derivatives along the directions that were tried."
    )
    yield kinks, ()
    unreached = tuple(_link(page) for page in pages if page.verdict.wrong and page.verdict.wrong.unreached)
    if unreached:
        yield "Lines that no case reaches, as wrong versions showed, in", unreached
    if not any(page.verdict.wrong for page in pages):
        yield "That every line of every rule is reached by some case: wrong versions would show it, and were not tried.", ()
    yield (
        "A proof is of formulas at the sizes that were drawn, not of rounding; every other verdict is evidence from cases, not a proof.",
        (),
    )
    formats = dict.fromkeys(d.dtype for page in pages for d in page.verdict.digits)
    yield f"Formats other than float64{''.join(f' and {name}' for name in formats)}; speed.", ()


def _luck(pages: Sequence[RulePage]) -> str:
    """How likely a wrong entry of a gradient goes unnoticed, in one sentence with its formula; see `matcalc.property` for the scale."""
    ratios = [
        e.tolerance / e.scale
        for page in pages
        for e in page.verdict.evidence
        if e.property == "vjp" and e.oracle == "finite differences" and e.status.good and e.scale > 0
    ]
    general = (
        f"Finite differences see a gradient only through its inner products with $k \\ge {PROBES}$ Gaussian tangents: if one of its $N$ "
        r"entries, all of one size, is wrong by a part $\delta$ of itself, all of them miss it at one case with a probability of about "
        r"$(0.8\,t\,(N + (MN)^{1/2})/\delta)^k$, where $M$ is the number of entries of the value and $t$ the relative tolerance"
    )
    worst = max(map(finite_or_infinite, ratios), default=0.0)
    if not worst:
        return f"{general}."
    chance = min(1.0, (HOPE * worst * 2 * EXAMPLE) ** PROBES)
    return (
        f"{general}, which with the largest $t$ of this run, {number(worst)}, is {number(chance)} for $N = M = {EXAMPLE}$ and "
        r"$\delta = 1$; beside JAX arrays are compared whole, where an entry hides only if it is wrong by less than the tolerance, and in "
        "exact arithmetic there is no tolerance."
    )


# --- tables ---------------------------------------------------------------------------------------------------------------------


def _grid(whole: IndexPage, oracles: Sequence[str]) -> Iterator[tuple[str, tuple[int, ...], int]]:
    """For each topic, in how many of its rules each oracle judged something."""
    for topic in whole.topics:
        mine = [page.verdict for page in whole.pages if page.verdict.topic == topic]
        counts = (sum(any(e.oracle == oracle and e.cases for e in v.evidence) for v in mine) for oracle in oracles)
        yield topic, tuple(counts), len(mine)


def _properties(pages: Sequence[RulePage]) -> Iterator[Row]:
    """For each property, how many rules it was looked at in, and how often."""
    every = [e for page in pages for e in page.verdict.evidence if e.status is not Status.VACUOUS]
    names = {e.property for e in every}
    for name in sorted(names, key=lambda name: (list(PROPERTIES).index(name) if name in PROPERTIES else len(PROPERTIES), name)):
        mine = [e for e in every if e.property == name]
        rules = sum(any(e.property == name and e.status is not Status.VACUOUS for e in page.verdict.evidence) for page in pages)
        yield Row(name, PROPERTIES.get(name, ""), (rules, sum(e.cases for e in mine), sum(e.skipped for e in mine)))


def _kind(line: Coverage) -> str:
    """The kind of a special point, without the name of the factor that was chosen so."""
    return line.kind if line.input else line.kind.rpartition(": ")[2]


def _kinds(pages: Sequence[RulePage]) -> Iterator[Row]:
    """For each kind of special point, how many rules have it, and how often it was tried and judged; the commonest first."""
    found: dict[str, list[int]] = {}
    for page in pages:
        for kind in {_kind(line) for line in page.verdict.census}:
            mine = [line for line in page.verdict.census if _kind(line) == kind]
            old = found.setdefault(kind, [0, 0, 0])
            old[:] = [old[0] + 1, old[1] + sum(line.cases for line in mine), old[2] + sum(line.judged for line in mine)]
    for kind, sums in sorted(found.items(), key=lambda item: (-item[1][0], -item[1][1], item[0])):
        yield Row(kind, "", tuple(sums))
