"""A verdict with all that is known beside it, in the words and formulas of the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from markupsafe import Markup

from matcalc.claims.asking import check_claim
from matcalc.claims.layers import Layer
from matcalc.claims.points import Sizes, random_inputs
from matcalc.claims.search import Reason
from matcalc.claims.verdict import ClaimVerdict
from matcalc.claims.way import Departure, Way
from matcalc.derivation import Derivation
from matcalc.derivation.graphing import graph
from matcalc.formula import names
from matcalc.formula.expression import Expr, FormulaError
from matcalc.formula.names import as_tex
from matcalc.formula.parsing import Parsed
from matcalc.formula.printing import shape_text, spell
from matcalc.formula.vocabulary import Spelling
from matcalc.report.graph import fragment
from matcalc.report.matrices import in_tex
from matcalc.report.words import KINDS as MISTAKES
from matcalc.report.words import count, power_of_ten
from matcalc.serve.boxes import SPELLINGS, Asked

ORDER: tuple[Spelling, ...] = ("numpy", "matlab", "latex", "unicode")
SOME = 5
"Explanations that are shown at once."
LARGEST = 40
"Nodes of a graph that is shown."


@dataclass(frozen=True)
class Shown:
    """An expression for the page: its TeX, its shape in words, and the four spellings by their names."""

    tex: str
    shape: str
    spelled: Mapping[str, str]

    @classmethod
    def of(cls, expr: Expr) -> Shown:
        """The expression in every spelling."""
        return cls(spell(expr, "latex"), shape_text(expr), {SPELLINGS[each]: spell(expr, each) for each in ORDER})


def result(asked: Asked, f: Parsed, wrt: str, declared: dict[str, names.Variable] | None, spelling: Spelling | None) -> Result:
    """The verdict on the claim, or the derivative; ValueError for a question without an answer."""
    verdict = check_claim(asked.f, wrt, asked.claim.strip() or None, declared, kind=asked.kind, spelling=spelling)
    way = Way(f, wrt, verdict.kind)
    return Result(verdict, _derivation(way), way.left(verdict.explanations), _drawn(way, verdict))


def _derivation(way: Way) -> Derivation | None:
    """The steps, where there are any in matrix form."""
    try:
        return way.derivation
    except FormulaError:
        return None


def _drawn(way: Way, verdict: ClaimVerdict) -> Markup:
    """The graph at random numbers, with small matrices of different sizes where that works; nothing if it is large or cannot be drawn."""
    f = way.f.expr
    if sum(1 for _ in f.nodes()) > LARGEST:
        return Markup()
    try:
        found = way.marked(graph(f, random_inputs(f, way.variables), [way.wrt], way.symmetric), verdict.explanations)
    except FormulaError:
        return Markup()
    return fragment(found if f.is_scalar else replace(found, wrt=()), level=4)


@dataclass(frozen=True)
class Result:
    """A verdict for the page."""

    verdict: ClaimVerdict
    derivation: Derivation | None
    left: Departure | None  # where the claim leaves the way back
    graph: Markup

    @property
    def derived(self) -> bool:
        """Whether no claim was made."""
        return self.verdict.claim is None

    @property
    def title(self) -> str:
        """The verdict in a word or two."""
        word = self.verdict.verdict
        return f"Derived and {word}" if self.derived and self.verdict.right else word.capitalize()

    @property
    def what(self) -> str:
        """What kind of derivative it is."""
        return {"jacobian": "Jacobian", "hessian": "Hessian"}.get(self.verdict.kind, self.verdict.kind)

    @property
    def headline(self) -> str:
        """The verdict in a sentence, without formulas."""
        subject = "This" if self.derived else "The claim"
        match self.verdict.verdict:
            case "proved" | "verified":
                return f"{subject} is the {self.what}."
            case "refuted":
                return f"{subject} is not the {self.what}."
            case _:
                return f"Whether {subject.lower()} is the {self.what} cannot be told: {self.verdict.reason or 'no arithmetic could tell'}."

    @property
    def spoken(self) -> str:
        """For those who listen: the verdict, and the first explanation."""
        return " ".join([f"{self.title}.", self.headline, *(reason.message for reason in self.verdict.explanations[:1])])

    @property
    def decided(self) -> str:
        """Which arithmetic decided, and how sure it is; a sentence."""
        layers = self.verdict.layers
        return _layer(layers[-1]) if layers else ""

    @property
    def before(self) -> list[str]:
        """What the other kinds of arithmetic said before."""
        return [_layer(layer) for layer in self.verdict.layers[:-1]]

    @property
    def explanations(self) -> tuple[list[tuple[str, Reason]], list[tuple[str, Reason]]]:
        """Those that are shown at once and the others, each with its kind in words."""
        named = [(MISTAKES.get(reason.kind, reason.kind.replace("_", " ")), reason) for reason in self.verdict.explanations]
        return named[:SOME], named[SOME:]

    @property
    def point(self) -> str:
        """The inputs of the counterexample, in TeX."""
        case = self.verdict.counterexample
        if case is None:
            return ""
        return r",\quad ".join(f"{as_tex(name)} = {_matrix(x)}" for name, x in case.inputs.items())

    @property
    def place(self) -> str:
        """Which entry of the derivative the counterexample is about."""
        case = self.verdict.counterexample
        return f"entry {', '.join(map(str, case.entry))} of the {self.what}" if case and case.entry else f"the {self.what}"

    @property
    def derivative(self) -> Shown | None:
        """The right derivative, where it is not what was claimed."""
        its = self.verdict
        return Shown.of(its.derivative) if its.derivative is not None and (self.derived or not its.right) else None

    @property
    def paths(self) -> list[tuple[str, str, str]]:
        """Where several paths lead to the variable: the name of each, what comes along it, in TeX, and how the claim leaves it."""
        if self.derivation is None or len(self.derivation.paths) < 2:
            return []
        why = dict.fromkeys(self.left.paths, self.left.reason.message) if self.left else {}
        return [(path.label, _latex(path.adjoint), why.get(path, "")) for path in self.derivation.paths]

    @property
    def simplifications(self) -> list[tuple[str, str, bool | None]]:
        """Each as an equation in TeX, its reason, and whether the numbers agree."""
        if self.derivation is None:
            return []
        return [(f"{_latex(step.before)} = {_latex(step.after)}", step.reason, step.agrees) for step in self.derivation.simplifications]


def _latex(expr: Expr) -> str:
    return spell(expr, "latex", shape_known=True)


def _matrix(x: Any) -> str:
    rows = np.asarray(x, dtype=np.float64)
    rows = rows.reshape(-1, 1) if rows.ndim == 1 else np.atleast_2d(rows)
    return in_tex(tuple(tuple(float(entry) for entry in row) for row in rows))


def _layer(layer: Layer) -> str:
    """What one kind of arithmetic said, as a sentence; `$...$` in it are formulas."""
    how = {
        "shapes": "The shapes",
        "prime field": "Exact arithmetic modulo a prime",
        "balls": "Real numbers with bounds of their errors",
        "finite differences": "Finite differences",
        "JAX": "JAX's derivative",
    }.get(layer.name, layer.name)
    if layer.name == "shapes":
        return f"{how} tell: {layer.note}."
    where = f" at {count(layer.points, 'random point')}" if layer.points else ""
    if layer.points and layer.sizes and any(layer.sizes):
        where += f" with ${_sizes(layer.sizes)}$"
    match layer.says:
        case "equal":
            sure = f"; the chance that something wrong passes is below {power_of_ten(layer.bound)}" if layer.bound else ""
            sure += f", to {layer.digits:.0f} digits" if layer.digits else ""
            return f"{how}: both are equal{where}{sure}."
        case "different":
            return f"{how}: they differ{where}."
        case _:
            return f"{how}: no answer" + (f", since {layer.note}" if layer.note else "") + "."


def _sizes(those: Iterable[Sizes]) -> str:
    """The choices of sizes, in TeX: `n = 3, 4` or `(m, n) = (3, 4), (2, 3)`."""
    known = [sizes for sizes in those if sizes]
    if len(known[0]) == 1:
        return f"{', '.join(known[0])} = {', '.join(str(n) for sizes in known for n in sizes.values())}"
    shown = ", ".join(f"({', '.join(map(str, sizes.values()))})" for sizes in known)
    return f"({', '.join(known[0])}) = {shown}"
