"""What is found out about a claim, as a value: for people in sentences, for programs as JSON, for notebooks as a small page."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Any

from matcalc.claims.counterexample import Counterexample
from matcalc.claims.layers import Layer
from matcalc.claims.search import Reason
from matcalc.formula.expression import Expr
from matcalc.verdict import Status

SHOWN = 5
"Explanations that are printed."


@dataclass(frozen=True)
class ClaimVerdict:
    """Whether a claimed derivative is right, why not, and what is right instead."""

    f: str  # as it was typed
    wrt: str
    claim: str | None  # as it was typed; None where the derivative was asked for
    kind: str  # "gradient", "jacobian", "derivative" by a number, "differential", "hessian"; "auto" where it was not found out
    verdict: str  # "proved", "verified", "refuted", "inconclusive"
    reason: str = ""  # why it is inconclusive
    explanations: tuple[Reason, ...] = ()  # best first
    counterexample: Counterexample | None = None
    derivative: Expr | None = None  # the right one
    derivative_text: str = ""  # in the user's own spelling
    reading: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])  # {"f": {"latex": ...}, "claim": ...}
    spelling: str = ""  # in which it was read
    notes: tuple[str, ...] = ()  # how something was read, or what was assumed
    missing: tuple[str, ...] = ()  # terms of the right derivative that the claim lacks, when both are written as sums
    extra: tuple[str, ...] = ()  # terms of the claim that the right derivative has not
    changed: tuple[tuple[str, str], ...] = ()  # terms that differ in their coefficients: as claimed, as they should be
    layers: tuple[Layer, ...] = ()  # the last one decided
    seconds: float = 0.0
    id: str = ""  # in a file of claims
    error: str = ""  # why an entry of a file could not be judged

    @property
    def status(self) -> Status:
        """As rules have it."""
        return Status(self.verdict)

    @property
    def right(self) -> bool:
        """Whether the claim was found to be right."""
        return self.verdict in {"proved", "verified"}

    @property
    def wrong(self) -> bool:
        """Whether the claim was found to be wrong."""
        return self.verdict == "refuted"

    @property
    def bound(self) -> float:
        """The chance that a wrong claim is called proved."""
        return max((layer.bound for layer in self.layers), default=0.0)

    def json(self) -> dict[str, Any]:
        """Ready for a file: what graders need, and all that is known beside it.

        The `entry` of a counterexample and the indices of its `direction` are counted from 1, whatever the spelling.
        """
        found: dict[str, Any] = {
            "id": self.id,
            "verdict": self.verdict,
            "explanations": [reason.to_json() for reason in self.explanations],
            "counterexample": self.counterexample.to_json() if self.counterexample else None,
            "f": self.f,
            "wrt": self.wrt,
            "claim": self.claim,
            "kind": self.kind,
            "reason": self.reason,
            "derivative": self.derivative_text,
            "missing": list(self.missing),
            "extra": list(self.extra),
            "changed": [list(pair) for pair in self.changed],
            "reading": self.reading,
            "notes": list(self.notes),
            "layers": [
                {"name": each.name, "says": each.says, "points": each.points, "bound": each.bound, "digits": each.digits, "note": each.note}
                for each in self.layers
            ],
            "seconds": self.seconds,
        }
        return {**found, "error": self.error} if self.error else found

    def __str__(self) -> str:
        """A sentence for the verdict, and one for each thing that is known about it."""
        return "\n".join([self.headline, *("  " + line for line in self._lines())])

    @property
    def headline(self) -> str:
        """The verdict in one sentence."""
        of = f"the {'derivative' if self.kind == 'auto' else self.kind} of {self.f} with respect to {self.wrt}"
        said = self.derivative_text if self.claim is None else self.claim
        subject = f"{said} is"
        match self.verdict:
            case "proved":
                bound = f" (chance of an error below {self.bound:.0e})" if self.bound else ""
                return f"proved: {subject} {of}{bound}"
            case "verified":
                return f"verified: {subject} {of}, {self._digits()}"
            case "refuted":
                return f"refuted: {subject} not {of}"
            case _:
                open_ = f"whether {subject} {of}" if said else of
                return f"inconclusive: {open_} cannot be told: {self.reason or self.error or 'no arithmetic could tell'}"

    def _digits(self) -> str:
        digits = max((layer.digits for layer in self.layers), default=0.0)
        return f"to {digits:.0f} digits at {sum(layer.points for layer in self.layers)} random points"

    def _lines(self) -> list[str]:
        lines = shortened([f"{reason.kind}: {reason.message}" for reason in self.explanations], SHOWN)
        if self.counterexample is not None:
            lines.append(f"counterexample: {self.counterexample.told(self.spelling)}")
        if self.verdict == "refuted":
            lines += [f"missing term: {term}" for term in self.missing] + [f"extra term: {term}" for term in self.extra]
            lines += [f"term with another coefficient: {claimed}, right is {right}" for claimed, right in self.changed]
            if self.derivative_text:
                lines.append(f"right is: {self.derivative_text}")
        return [*lines, *(f"note: {note}" for note in self.notes)]

    def _repr_html_(self) -> str:
        """For notebooks."""
        colour = {"proved": "#1a7f37", "verified": "#1a7f37", "refuted": "#cf222e"}.get(self.verdict, "#9a6700")
        head, _, rest = self.headline.partition(": ")
        items = "".join(f"<li>{escape(line)}</li>" for line in self._lines())
        return f'<div><strong style="color:{colour}">{escape(head)}</strong>: {escape(rest)}<ul>{items}</ul></div>'


def shortened(explanations: list[str], most: int) -> list[str]:
    """The first explanations, and a line that says how many more there are."""
    more = len(explanations) - most
    return explanations if more <= 0 else [*explanations[:most], f"and {more} more explanation{'s' if more > 1 else ''}"]
