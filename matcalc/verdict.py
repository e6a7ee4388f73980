"""What is found out about a rule, as values: written by the verifier, read by the command line, pytest and the pages.

Nothing here computes or prints. `to_json` and `from_json` carry a whole run through a file whose layout has a version.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property
from html import escape
from math import isfinite
from typing import Any, TypeVar

from matcalc.graph import Graph
from matcalc.graph import from_json as graph_from_json

SCHEMA_VERSION = 3
Made = TypeVar("Made")


class Status(StrEnum):
    """What the oracles say of a rule, of one property of it, or of a run."""

    PROVED = "proved"  # by exact arithmetic, up to a probability that is stated; the other oracles agree
    VERIFIED = "verified"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"  # the oracles were too weak to tell
    VACUOUS = "vacuous"  # there was nothing to check

    @property
    def good(self) -> bool:
        """Whether nothing speaks against it: proved or verified."""
        return self in {Status.PROVED, Status.VERIFIED}


@dataclass(frozen=True)
class Evidence:
    """One property of a rule beside one oracle, over many cases.

    `worst_error` and `tolerance` belong to the case with the largest margin (error / tolerance); both are absolute, `scale` is
    the size of what was compared there, and `condition` the measured condition number of the derivative there.
    """

    property: str  # "value", "jvp", "vjp", "adjoint", "linear", "pure", "shape", "dtype", "empty", "batch", "agreement"
    oracle: str  # "JAX forward", "JAX reverse", "finite differences", "JAX", "PyTorch", "itself"
    status: Status
    cases: int
    skipped: int = 0  # cases that this oracle could not judge
    worst_error: float = 0.0
    tolerance: float = 0.0
    scale: float = 0.0
    condition: float = 0.0
    margins: tuple[float, ...] = ()  # error / tolerance of every judged case
    errors: tuple[float, ...] = ()  # error / scale of every judged case
    note: str = ""  # one sentence: what is wrong, or why it could not be judged
    bound: float = 0.0  # probability that a wrong rule passes this test (exact arithmetic at random points)

    @cached_property
    def margin(self) -> float:
        """Largest error in units of its tolerance."""
        return max(self.margins, default=0.0)


@dataclass(frozen=True)
class Curve:
    """Error of a finite difference against its step, at one case: shows how well the oracle itself works."""

    steps: tuple[float, ...]
    errors: tuple[float, ...]  # relative difference between the plain central difference and the rule's jvp
    estimate: float  # relative error that the extrapolated oracle claims for itself
    extrapolated: float  # relative difference between the extrapolated value and the rule's jvp


@dataclass(frozen=True)
class Worst:
    """The entry in which a refuted rule differs most."""

    of: str  # "dK", "the value", "the gradient with respect to K"
    index: tuple[int, ...]
    got: float
    expected: float

    @property
    def ratio(self) -> float:
        """What came, in units of what was expected."""
        return self.got / self.expected if self.expected else float("inf")

    def __str__(self) -> str:
        where = f"entry {self.index} of {self.of}" if self.index else self.of
        digits = next((d for d in (6, 9, 12) if f"{self.got:.{d}g}" != f"{self.expected:.{d}g}"), 17)  # enough to see them differ
        return f"{where}: {self.got:.{digits}g} came, {self.expected:.{digits}g} was expected"


@dataclass(frozen=True)
class Counterexample:
    """A small case at which a refuted rule is wrong."""

    sizes: dict[str, int]
    inputs: dict[str, Any]  # nested lists of numbers
    got: Any
    expected: Any
    compared: str  # what `got` and `expected` are
    worst: Worst | None = None
    votes: dict[str, float] = field(default_factory=dict)  # "rule / JAX": relative difference, pairwise


@dataclass(frozen=True)
class Explanation:
    """One way to get from what was expected to what a refuted rule gives."""

    kind: str  # "transpose", "sign", "scalar_factor", "missing_term", ...: the classes of matcalc.diagnose
    sentence: str  # "the gradient with respect to K is the expected one transposed"
    residual: float  # relative distance that remains when the explanation is applied: 0 for a perfect one
    of: str = ""  # what it is about: "the gradient with respect to K"


@dataclass(frozen=True)
class Coverage:
    """How often a rule was looked at in one kind of special place: a line of its census."""

    input: str  # "K"; empty for all inputs together
    kind: str  # "repeated eigenvalues", "exact zeros", "condition 1e12", "Fortran order", ...
    cases: int  # how many points of this kind were tried
    judged: int  # at how many of them some oracle could tell
    note: str = ""  # why some could not be judged


@dataclass(frozen=True)
class Statement:
    """One printed equation of a rule, executed beside its code."""

    tex: str
    line: int  # the display that it stands in, from 0
    status: Status  # verified: both sides agree, or it defines what others need; refuted; vacuous: it could not be executed
    error: float | None = None  # largest relative difference of its sides; None for a definition
    note: str = ""  # why it could not be executed


@dataclass(frozen=True)
class Digits:
    """How many decimal digits survive in a shorter floating-point format, at the same inputs."""

    dtype: str  # "float32", "bfloat16"
    cases: int
    rule: tuple[float, float]  # median and least digits that the rule's derivative keeps
    autodiff: tuple[float, float] | None = None  # the same for JAX's own derivative of the same function
    margin: float = 0.0  # largest error of the rule in units of condition * epsilon of that format


@dataclass(frozen=True)
class WrongVersions:
    """What became of the wrong versions of a rule that a machine made, to find out what the checker cannot see."""

    killed: int  # how many were refuted,
    total: int  # of those that are truly wrong
    equivalents: int  # edits that change nothing
    disputed: int  # refuted, though no difference from the rule was found
    unreached: int  # edits of lines that no case comes by
    kinds: dict[str, tuple[int, int]]  # refuted and truly wrong, by the kind of mistake
    properties: dict[str, int]  # by the property that refuted it first
    survivors: tuple[str, ...]  # what was done, and where it shows
    seconds: float
    reason: str = ""  # why none could be tried


@dataclass(frozen=True)
class Verdict:
    """All that was found out about one rule."""

    rule: str
    topic: str
    status: Status
    summary: str  # the rule's first sentence
    equations: tuple[str, ...]
    inputs: dict[str, dict[str, Any]]  # name -> {"tex", "set", "domain", "shape", "held"}
    sources: tuple[dict[str, str], ...]  # {"short", "full", "url"}
    file: str
    line: int
    code: str
    cases: int
    seconds: float
    evidence: tuple[Evidence, ...] = ()
    conditions: tuple[float, ...] = ()  # measured condition number of each case
    accuracies: tuple[float, ...] = ()  # relative error of the rule's vjp (or jvp) at each of those cases
    curve: Curve | None = None
    counterexample: Counterexample | None = None
    reason: str = ""  # one sentence, for every status but proved and verified
    explanations: tuple[Explanation, ...] = ()  # of a refuted rule, the best first
    census: tuple[Coverage, ...] = ()
    digits: tuple[Digits, ...] = ()
    wrong: WrongVersions | None = None  # of a run that asked for them
    statements: tuple[Statement, ...] = ()  # the printed equations, executed
    graph: Graph | None = None  # of the printed value, at a small point
    sizes: tuple[dict[str, int], ...] = ()  # those of the random cases

    @property
    def margin(self) -> float:
        """Largest error in units of its tolerance, over all evidence."""
        return max((e.margin for e in self.evidence if e.status is not Status.INCONCLUSIVE), default=0.0)

    @property
    def code_is_wrong(self) -> bool:
        """Whether its code is refuted, and not only what is printed beside it."""
        return self.status is Status.REFUTED and any(e.status is Status.REFUTED for e in self.evidence)

    @property
    def suspicions(self) -> list[str]:
        """Its explanations as clauses, the best first."""
        clauses = (f"{one.sentence} (distance that remains: {one.residual:.2g})" for one in self.explanations)
        return [("or: " if k else "it looks as if ") + clause for k, clause in enumerate(clauses)]

    @property
    def sentences(self) -> list[str]:
        """The verdict in words, the most important first; each is a line of what a terminal or a test shows."""
        bound = max((e.bound for e in self.evidence if e.status is Status.PROVED), default=0.0)
        oracles = ", ".join(dict.fromkeys(e.oracle for e in self.evidence if e.status.good and e.oracle != "itself"))
        if self.status is Status.PROVED:
            said = [f"{self.rule} is proved in exact arithmetic: a wrong one would pass with a probability of at most {bound:.0e}."]
        elif self.status is Status.VERIFIED:
            where = f"{self.cases} cases{self._ranges} beside {oracles}"
            said = [f"{self.rule} is verified on {where}; largest error {self.margin:.2g} of its tolerance."]
        else:
            said = [f"{self.rule} is {self.status}: {self.reason}."]
        example = self.counterexample
        if example:
            at = ", ".join(f"{name} = {size}" for name, size in example.sizes.items())
            said += [f"The smallest case found{f' ({at})' if at else ''} has " + "; ".join(f"{k} = {v}" for k, v in example.inputs.items())]
            said += [str(example.worst)] if example.worst else []
        return [*said, *(f"{clause[0].upper()}{clause[1:]}." for clause in self.suspicions)]

    @property
    def _ranges(self) -> str:
        """From which to which size there were random cases: a mistake that shows at larger ones alone is not seen."""
        ranges = []
        for name in self.sizes[0] if self.sizes else ():
            least, most = (end(sizes[name] for sizes in self.sizes) for end in (min, max))
            ranges.append(f"{name} = {least}" + (f" to {most}" if most > least else ""))
        return f" ({', '.join(ranges)})" if ranges else ""

    def __str__(self) -> str:
        return "\n".join(self.sentences)

    def _repr_html_(self) -> str:
        first, *rest = (escape(sentence) for sentence in self.sentences)
        colour = "#1a7f37" if self.status.good else "#c0392b"
        rows = "".join(
            f"<tr><td>{escape(e.property)}</td><td>{escape(e.oracle)}</td><td>{e.status}</td><td>{e.cases}</td><td>{e.margin:.2g}</td></tr>"
            for e in self.evidence
        )
        head = "".join(f"<th>{word}</th>" for word in ("property", "oracle", "status", "cases", "error / tolerance"))
        listed = "".join(f"<li>{sentence}</li>" for sentence in rest)
        table = f"<details><summary>Evidence</summary><table><tr>{head}</tr>{rows}</table></details>"
        return f'<p><b style="color:{colour}">{self.status}</b> {first}</p>' + (f"<ul>{listed}</ul>" if listed else "") + table


@dataclass(frozen=True)
class Problem:
    """Something that could not become a rule at all: a file that does not import, a declaration that is refused."""

    where: str
    sentence: str


@dataclass(frozen=True)
class Run:
    """One run of the verifier."""

    verdicts: tuple[Verdict, ...]
    problems: tuple[Problem, ...]
    seed: int
    profile: str
    command: str  # repeats this run
    started: str  # ISO date and time
    seconds: float
    versions: dict[str, str]
    machine: str
    interrupted: bool = False
    selected: int = 0  # how many rules were asked for
    schema: int = SCHEMA_VERSION

    def count(self, status: Status) -> int:
        """How many rules have this status."""
        return sum(verdict.status is status for verdict in self.verdicts)


def to_json(run: Run) -> dict[str, Any]:
    """The run as plain data for `json.dump`; what is not finite becomes "nan", "inf" or "-inf", since JSON has no such numbers."""
    return {name: _finite(value) for name, value in asdict(run).items()}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else str(float(value))
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, (list, tuple)) else value


def _numbers(value: Any) -> Any:
    """Numbers in nested lists, as they were before `_finite`."""
    if isinstance(value, dict):
        return {key: _numbers(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_numbers(part) for part in value]
    return float(value) if isinstance(value, str) else value


def from_json(data: dict[str, Any]) -> Run:
    """A run from what `to_json` gave.

    Raises ValueError if the layout is of another version.
    """
    if data.get("schema") != SCHEMA_VERSION:
        raise ValueError(f"results of schema {data.get('schema')} came, but this matcalc reads schema {SCHEMA_VERSION}")
    return _made(
        Run,
        data,
        verdicts=tuple(_verdict(v) for v in data["verdicts"]),
        problems=tuple(Problem(**p) for p in data["problems"]),
        seconds=_numbers(data["seconds"]),
    )


def _made(kind: type[Made], data: dict[str, Any], **changed: Any) -> Made:
    """A value from its fields as they stand in a file, some of them changed back."""
    return kind(**{**data, **changed})


def _verdict(data: dict[str, Any]) -> Verdict:
    example, curve = data["counterexample"], data["curve"]
    return _made(
        Verdict,
        data,
        status=Status(data["status"]),
        equations=tuple(data["equations"]),
        sources=tuple(data["sources"]),
        seconds=_numbers(data["seconds"]),
        evidence=tuple(_evidence(e) for e in data["evidence"]),
        conditions=tuple(_numbers(data["conditions"])),
        accuracies=tuple(_numbers(data["accuracies"])),
        curve=_curve(_numbers(curve)) if curve else None,
        counterexample=_counterexample(example) if example else None,
        explanations=tuple(_made(Explanation, e, residual=_numbers(e["residual"])) for e in data["explanations"]),
        census=tuple(Coverage(**c) for c in data["census"]),
        sizes=tuple(data.get("sizes", ())),  # older files have none
        digits=tuple(_digits(d) for d in data["digits"]),
        wrong=_wrong(data["wrong"]) if data["wrong"] else None,
        statements=tuple(_statement(s) for s in data["statements"]),
        graph=graph_from_json(data["graph"]) if data["graph"] else None,
    )


def _evidence(data: dict[str, Any]) -> Evidence:
    numbers = {name: _numbers(data[name]) for name in ("worst_error", "tolerance", "scale", "condition", "bound")}
    lists = {name: tuple(_numbers(data[name])) for name in ("margins", "errors")}
    return _made(Evidence, data, status=Status(data["status"]), **numbers, **lists)


def _wrong(data: dict[str, Any]) -> WrongVersions:
    kinds = {kind: tuple(counts) for kind, counts in data["kinds"].items()}
    return _made(WrongVersions, data, kinds=kinds, survivors=tuple(data["survivors"]), seconds=_numbers(data["seconds"]))


def _statement(data: dict[str, Any]) -> Statement:
    return _made(Statement, data, status=Status(data["status"]), error=None if data["error"] is None else _numbers(data["error"]))


def _digits(data: dict[str, Any]) -> Digits:
    kept = {name: tuple(_numbers(data[name])) if data[name] is not None else None for name in ("rule", "autodiff")}
    return _made(Digits, data, margin=_numbers(data["margin"]), **kept)


def _curve(data: dict[str, Any]) -> Curve:
    return _made(Curve, data, steps=tuple(data["steps"]), errors=tuple(data["errors"]))


def _counterexample(data: dict[str, Any]) -> Counterexample:
    numbers = {name: _numbers(data[name]) for name in ("inputs", "got", "expected", "votes")}
    worst = data["worst"]
    if worst:
        worst = Worst(worst["of"], tuple(worst["index"]), _numbers(worst["got"]), _numbers(worst["expected"]))
    return _made(Counterexample, data, worst=worst, **numbers)
