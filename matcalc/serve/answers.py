"""What is said of the boxes: texts go in, pieces of the page come out. This runs in a process that may be killed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from matcalc.claims.points import domain_of
from matcalc.formula.expression import FormulaError, Span
from matcalc.formula.names import Variable, as_tex, canonical, kind_of, variable
from matcalc.formula.parsing import Pair, Parsed, parse, parse_pair
from matcalc.formula.size import ONE
from matcalc.formula.vocabulary import Spelling
from matcalc.report.templating import environment
from matcalc.serve.boxes import LONGEST, Asked
from matcalc.serve.results import ORDER, Shown, result

Parts = dict[str, str]
"""Pieces of the page by place: under a box (f, wrt, claim, variables), its names, all spellings, the result. What is missing stays."""

_BOXES = {"f": "The function", "wrt": "The variable", "claim": "The claim", "variables": "The declaration of a variable"}
TOO_MUCH = "This took more memory or deeper nesting than there is, so it was stopped."
MOST_REPAIRS, MOST_SHAPES = 4, 16
"Buttons beside one complaint, and shapes that are tried for a name that is not declared."


def stopped(reason: str, title: str = "Stopped") -> Parts:
    """The result of a question that was not answered."""
    return {"result": str(_macros().stopped(title, reason))}


def read(asked: Asked) -> Parts:
    """How the boxes are read, while somebody types. Never raises."""
    return _without_raising(lambda: _Reading(asked).parts())


def checked(asked: Asked) -> Parts:
    """How the boxes are read, and the verdict on the claim or, where there is none, the derivative. Never raises."""

    def both() -> Parts:
        reading = _Reading(asked)
        return reading.parts() | _result(reading)

    return _without_raising(both)


def _without_raising(work: Callable[[], Parts]) -> Parts:
    try:
        return work()
    except (MemoryError, RecursionError):
        return stopped(TOO_MUCH)
    except Exception as error:  # noqa: BLE001  (a process that dies would only say less)
        return stopped(f"matcalc failed, which is its own fault: {type(error).__name__}: {error}", "Failed")


def _result(reading: _Reading) -> Parts:
    if reading.troubles:
        return stopped(f"{_BOXES[next(iter(reading.troubles))]} cannot be read; what is wrong is said beside it.", "Not checked")
    if reading.f is None:
        return stopped("There is no function yet.", "Not checked")
    if not reading.wrt:
        return stopped("Say with respect to which variable.", "Not checked")
    try:
        found = result(reading.asked, reading.f, reading.wrt, reading.declared, reading.spelling)
    except ValueError as error:
        return stopped(str(error), "Not checked")
    return {"result": str(_macros().verdict(found))}


def _macros() -> Any:
    return environment().get_template("serve.parts.html.jinja").module


# --- reading ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Repair:
    """A button that puts another text into a box."""

    label: str
    box: str
    text: str


@dataclass(frozen=True)
class Trouble:
    """What is wrong in a box: one sentence, the text before, at and after the place, and what would do instead."""

    sentence: str
    before: str = ""
    there: str = ""
    after: str = ""
    repairs: tuple[Repair, ...] = ()

    @classmethod
    def at(cls, sentence: str, text: str, span: Span | None, repairs: tuple[Repair, ...] = ()) -> Trouble:
        """About a place in a text; a place behind its end is shown as a space."""
        if span is None:
            return cls(sentence, repairs=repairs)
        start, end = min(span[0], len(text)), max(span[0] + 1, span[1])
        return cls(sentence, text[:start], text[start:end] or "\u00a0", text[end:], repairs)


class _Reading:
    """All boxes as they are understood, up to the first trouble in each."""

    def __init__(self, asked: Asked, *, repairing: bool = True) -> None:
        self.asked = asked
        self.repairing = repairing
        self.troubles: dict[str, Trouble] = {}
        self.f: Parsed | None = None
        self.claim: Parsed | None = None
        self.pair: Pair | None = None
        self.problem: Trouble | None = None  # of a claim that can be read, but has a shape that cannot be right
        self.wrt = ""
        for box in ("f", "claim", "variables", "wrt"):
            if len(getattr(asked, box)) > LONGEST:
                self.troubles[box] = Trouble(f"A box has room for {LONGEST} characters.")
        if not self.troubles:
            self._read()

    def parts(self) -> Parts:
        """What is said under each box."""
        macros = _macros()
        shown = {"f": self.f, "claim": self.claim}
        parts = {
            box: str(macros.trouble(self.troubles[box])) if box in self.troubles
            else str(macros.reading(Shown.of(parsed.expr), self._notes(parsed), self.problem if box == "claim" else None)) if parsed
            else str(macros.trouble(self.problem)) if box == "claim" and self.problem else ""
            for box, parsed in shown.items()
        }  # fmt: skip
        parts["variables"] = str(macros.variables(self.troubles.get("variables"), self._variables()))
        parts["wrt"] = str(macros.choice(self.troubles.get("wrt"), self._choices()))
        readable = {box: Shown.of(parsed.expr) for box, parsed in shown.items() if parsed and box not in self.troubles}
        parts["spelled"] = str(macros.spellings(readable))
        if self.f:
            parts["names"] = str(macros.options(list(self.f.variables)))
        return {box: text.strip() for box, text in parts.items()}

    # --- the boxes in order ---------------------------------------------------------------------------------------------------------

    @cached_property
    def declared(self) -> dict[str, Variable] | None:
        """The declared variables; None where there are none, so that names are taken by convention."""
        found: dict[str, Variable] = {}
        for match in re.finditer(r"[^\s;][^\n;]*", self.asked.variables):
            complaint = ""
            try:
                one = variable(match[0])
                domain_of(one.domain)
                complaint = f"{one.name} is declared twice" if one.name in found else ""
                found[one.name] = one
            except ValueError as error:
                complaint = str(error)
            if complaint:
                self.troubles["variables"] = Trouble.at(complaint, self.asked.variables, match.span())
                break
        return found or None

    @property
    def spelling(self) -> Spelling | None:
        """The spelling that was chosen."""
        return next((each for each in ORDER if each == self.asked.spelling), None)

    def _read(self) -> None:
        if self.declared is None and "variables" in self.troubles:
            return
        if not self.asked.f.strip():
            return
        alone: Trouble | None = None
        try:
            self.f = self._parsed(self.asked.f)
        except FormulaError as error:
            alone = self._trouble("f", error)
        self.wrt = self._variable()
        if not self.asked.claim.strip():
            if alone:
                self.troubles["f"] = alone
            return
        if not self.wrt and self.f is not None:
            return
        try:
            self.pair = self._paired(self.asked.f, self.asked.claim)
        except FormulaError as error:
            box = "claim" if alone is None or (error.text == self.asked.claim != self.asked.f) else "f"
            self.troubles[box] = alone if alone and box == "f" else self._trouble(box, error)
            return
        self.f, self.claim, self.wrt = self.pair.f, self.pair.claim, self.pair.wrt.name
        if self.pair.problem is not None:
            self.problem = self._trouble("claim", self.pair.problem)

    def _parsed(self, text: str) -> Parsed:
        return parse(text, self.declared, spelling=self.spelling)

    def _paired(self, f: str, claim: str) -> Pair:
        kind: Any = self.asked.kind
        return parse_pair(f, claim, self.declared, self.wrt or self.asked.wrt.strip(), kind=kind, spelling=self.spelling)

    def _variable(self) -> str:
        """The variable that is meant: what is typed, whichever way it is written, or the only one there is."""
        names = list(self.f.variables) if self.f else []
        typed = self.asked.wrt.strip()
        if not typed:
            inside = [name for name in names if self.f and name in self.f.expr.names]
            return inside[0] if len(inside) == 1 else ""
        found = next((name for name in names if name == typed or canonical(name) == canonical(typed.lstrip("\\"))), None)
        if found is None and self.f:
            self.troubles["wrt"] = Trouble(f"f has no {typed}.")
        return found or ""

    def _trouble(self, box: str, error: FormulaError) -> Trouble:
        text = getattr(self.asked, box)
        here = error.text == text
        repairs: tuple[Repair, ...] = ()
        if self.repairing:
            repairs = self._undeclared(box, str(error)) or (self._repairs(box, text, error) if here else ())
        return Trouble.at(str(error), text, error.span if here else None, repairs)

    def _repairs(self, box: str, text: str, error: FormulaError) -> tuple[Repair, ...]:
        """What can be put in the place of what does not fit, so that the whole can be read."""
        start, end = error.span or (0, len(text))
        found: list[Repair] = []
        for repair in error.repairs:
            for words in (repair, f"({repair})"):
                changed = replace(self.asked, **{box: text[:start] + words + text[end:]})
                if self._reads(changed, box):
                    found.append(Repair(repair, box, getattr(changed, box)))
                    break
        return tuple(found)[:MOST_REPAIRS]

    def _undeclared(self, box: str, complaint: str) -> tuple[Repair, ...]:
        """Declarations of a name that is missing among those that there are, in sizes that there are."""
        match = re.match(r"(\w+) is not declared", complaint)
        if match is None or not self.declared:
            return ()
        sizes = sorted({str(size) for each in self.declared.values() for size in (each.rows, each.cols) if size.name})
        shapes = ["", *(f"({n})" for n in sizes), *(f"({m}, {n})" for m in sizes for n in sizes)]
        found: list[Repair] = []
        for shape in shapes[:MOST_SHAPES]:
            label = f"{match[1]}: real{shape}"
            changed = replace(self.asked, variables=f"{self.asked.variables.rstrip()}\n{label}")
            if self._reads(changed, box):
                found.append(Repair(label, "variables", changed.variables))
        return tuple(found)[:MOST_REPAIRS]

    @staticmethod
    def _reads(asked: Asked, box: str) -> bool:
        """Whether a box gives no trouble any more."""
        again = _Reading(asked, repairing=False)
        return box not in again.troubles and "variables" not in again.troubles and (box != "claim" or again.problem is None)

    # --- what else is said ------------------------------------------------------------------------------------------------------------

    def _notes(self, parsed: Parsed) -> list[str]:
        """How it was read where it could be read otherwise; what names are taken for is said under the variables."""
        said = {f"I take {name} for a {kind_of(name)}" for name in parsed.variables}
        return [note for note in parsed.notes if note not in said]

    def _variables(self) -> list[tuple[str, str, bool]]:
        """Each with its TeX, its shape and set in words, and whether it was declared."""
        if self.f is None:
            return []
        declared = self.declared or {}
        known = {**(self.claim.variables if self.claim else {}), **self.f.variables}
        return [
            (as_tex(name), _in_words(each), name in declared) for name, each in known.items() if not (name[0] == "d" and name[1:] in known)
        ]

    def _choices(self) -> list[str]:
        """Variables to choose from, where none is chosen."""
        if self.f is None or self.wrt:
            return []
        return [name for name in self.f.variables if name in self.f.expr.names]


def _in_words(each: Variable) -> str:
    """As in "m×n, positive", "a scalar"."""
    shape = "a scalar" if each.rows == ONE == each.cols else str(each.rows) if each.cols == ONE else f"{each.rows}×{each.cols}"
    kind = "" if each.cols == ONE and each.rows == ONE else "vector of " if each.cols == ONE else "matrix "
    return kind + shape + ("" if each.domain == "real" else f", {each.domain.replace('_', ' ')}")
