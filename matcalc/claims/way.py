"""The way back from a function to a variable, beside a claim: how the function was read, its steps, and where a wrong claim leaves it.

The commands, the drawings and the served page show it, each in its own way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

from matcalc.claims.asking import Declared, declarations
from matcalc.claims.points import Variable
from matcalc.claims.search import Reason
from matcalc.derivation import Derivation, Path, derive, prepared
from matcalc.derivation.graphing import nodes_of
from matcalc.formula.expression import Expr, FormulaError
from matcalc.formula.parsing import Kind, Parsed, parse, parse_pair
from matcalc.formula.printing import spell
from matcalc.formula.vocabulary import Spelling
from matcalc.graph import Graph, Mark

STEPPED = ("gradient", "jacobian", "derivative")
"Kinds of derivatives that are found in one backward pass, whose steps can be shown."


@dataclass(frozen=True)
class Departure:
    """Where a wrong claim leaves the way back: at a part of the function, or along paths; the explanation says how."""

    reason: Reason
    node: Expr | None = None
    paths: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Way:
    """The way back through a function as it was read, for a derivative of this kind."""

    f: Parsed
    wrt: str
    kind: str = "gradient"

    @property
    def variables(self) -> list[Variable]:
        """Its inputs; ValueError for a set that is not known."""
        return [Variable.of(each) for each in self.f.variables.values()]

    @property
    def symmetric(self) -> list[str]:
        """The names of the inputs that are symmetric matrices."""
        return [each.name for each in self.variables if each.is_symmetric]

    @cached_property
    def derivation(self) -> Derivation:
        """The steps; FormulaError where there are none in matrix form."""
        if self.kind not in STEPPED:
            raise FormulaError(f"a {self.kind} is not found in one backward pass, whose steps could be shown")
        return derive(self.f.expr, self.wrt, self.symmetric)

    def left(self, reasons: Sequence[Reason]) -> Departure | None:
        """Where the simplest of the explanations that are about a place on the way says that the claim leaves it."""
        placed = [reason for reason in reasons if reason.about and not reason.repair]  # what repairs a claim is about a part of the claim
        if not placed or self.kind not in STEPPED:
            return None
        parts = {text: node for node in _parts(self.f.expr, self.wrt) for text in self._called(node)}
        try:
            paths = {path.description: path for path in self.derivation.paths}
        except FormulaError:
            paths = {}
        for reason in placed:
            if reason.about in parts:
                return Departure(reason, node=parts[reason.about])
            along = reason.about.split(", ")
            if all(one in paths for one in along):
                return Departure(reason, paths=tuple(paths[one] for one in along))
        return None

    def _called(self, node: Expr) -> Iterator[str]:
        """What an explanation may call a part of the function."""
        for form in (node, prepared(node)):
            text = spell(form, self.f.spelling)
            yield from (text, f"the derivative of {text}")

    def marked(self, graph: Graph, reasons: Sequence[Reason]) -> Graph:
        """The graph of the function, with a mark where the claim leaves the way back."""
        left = self.left(reasons)
        if left is None:
            return graph
        ids = {node: k for k, node in enumerate(nodes_of(self.f.expr))}
        if left.node is not None:
            return replace(graph, mark=Mark(left.reason.message, nodes=(ids[left.node],)))
        wrong = {path.place for path in left.paths}
        places = list(enumerate(_operands(self.f.expr, self.wrt), start=1))
        off = {one for k, place in places if k in wrong for one in place}
        on = {one for k, place in places if k not in wrong for one in place}
        own = {(ids[node], operand) for node, operand in off - on or off}  # what right paths use too is no mark, where anything else is
        edges = (k for k, edge in enumerate(graph.edges) if (edge.target, edge.operand) in own)
        return replace(graph, mark=Mark(left.reason.message, edges=tuple(edges)))


def understood(
    f: str, wrt: str = "", claim: str | None = None, variables: Declared = None, *, kind: str = "auto", spelling: Spelling | None = None
) -> Parsed:
    """The function as it is read beside the claim, if there is one: what either gives away of the spelling counts for both.

    Raises FormulaError for a text that cannot be read, ValueError for a declaration that is none.
    """
    declared = declarations(variables)
    if claim is None:
        return parse(f, declared, spelling=spelling)
    return parse_pair(f, claim, declared, wrt, kind=cast("Kind", "jacobian" if kind == "derivative" else kind), spelling=spelling).f


def _parts(f: Expr, wrt: str) -> Iterator[Expr]:
    """The operations on the way from the function to the variable."""
    return (node for node in f.nodes() if wrt in node.names and node.op != "name")


def _operands(f: Expr, wrt: str, above: tuple[tuple[Expr, int], ...] = ()) -> Iterator[tuple[tuple[Expr, int], ...]]:
    """For every place where the variable is written, in reading order: the operations above it, each with the operand that leads there."""
    if f.op == "name":
        yield above
    for k, arg in enumerate(f.args, start=1):
        if wrt in arg.names:
            yield from _operands(arg, wrt, (*above, (f, k)))
