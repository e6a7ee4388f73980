"""What is found out about a rule, as values: written by the verifier, read by the command line, pytest and the pages.

Nothing here computes or prints. `to_json` and `from_json` carry a whole run through a file whose layout has a version.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

SCHEMA_VERSION = 1


class Status(StrEnum):
    """What the oracles say of a rule, of one property of it, or of a run."""

    VERIFIED = "verified"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"  # the oracles were too weak to tell
    VACUOUS = "vacuous"  # there was nothing to check


@dataclass(frozen=True)
class Evidence:
    """One property of a rule beside one oracle, over many cases.

    `worst_error` and `tolerance` belong to the case with the largest margin (error / tolerance); both are absolute, `scale` is
    the size of what was compared there, and `condition` the measured condition number of the derivative there.
    """

    property: str  # "value", "jvp", "vjp", "adjoint", "linear", "pure", "shape", "dtype", "empty", "agreement"
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

    @property
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
    reason: str = ""  # one sentence, for every status but verified

    @property
    def margin(self) -> float:
        """Largest error in units of its tolerance, over all evidence."""
        return max((e.margin for e in self.evidence), default=0.0)


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
    """The run as plain data for `json.dump`."""
    return asdict(run)


def from_json(data: dict[str, Any]) -> Run:
    """A run from what `to_json` gave.

    Raises ValueError if the layout is of another version.
    """
    if data.get("schema") != SCHEMA_VERSION:
        raise ValueError(f"results of schema {data.get('schema')} came, but this matcalc reads schema {SCHEMA_VERSION}")
    return Run(**{
        **data,
        "verdicts": tuple(_verdict(v) for v in data["verdicts"]),
        "problems": tuple(Problem(**p) for p in data["problems"]),
    })


def _verdict(data: dict[str, Any]) -> Verdict:
    example = data["counterexample"]
    if example:
        worst = example["worst"]
        example = Counterexample(**{**example, "worst": Worst(**{**worst, "index": tuple(worst["index"])}) if worst else None})
    curve = data["curve"]
    return Verdict(**{
        **data,
        "status": Status(data["status"]),
        "equations": tuple(data["equations"]),
        "sources": tuple(data["sources"]),
        "evidence": tuple(_evidence(e) for e in data["evidence"]),
        "conditions": tuple(data["conditions"]),
        "accuracies": tuple(data["accuracies"]),
        "curve": Curve(tuple(curve["steps"]), tuple(curve["errors"]), curve["estimate"], curve["extrapolated"]) if curve else None,
        "counterexample": example,
    })


def _evidence(data: dict[str, Any]) -> Evidence:
    return Evidence(**{**data, "status": Status(data["status"]), "margins": tuple(data["margins"]), "errors": tuple(data["errors"])})
