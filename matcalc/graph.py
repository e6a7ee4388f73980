"""The computational graph of an expression, as a value: forward values, backward adjoints, and the steps of the backward pass.

Nodes stand in the order in which they are evaluated; a node that is used twice is there once. Edges run from an operand to the
node that uses it and carry the operand's number, since a product's operands must not change places in a picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["variable", "parameter", "constant", "operation", "output"]
Entries = tuple[tuple[float, ...], ...]
"A matrix by rows; a scalar is 1 by 1, a vector n by 1."


@dataclass(frozen=True)
class Node:
    """One quantity. `formula` is it in terms of its operands' names, `whole` in terms of the inputs; both are TeX."""

    id: int
    kind: Kind
    operation: str  # the name in `matcalc.formula.operations`, as in "matmul"; "name" for an input
    name: str  # TeX: an input's own, z_1, z_2, ... for the others
    formula: str
    whole: str
    shape: str  # as in "m × n", "scalar"
    value: Entries | None = None
    adjoint: Entries | None = None  # the total derivative of the output with respect to this node; None where it is not asked for
    adjoint_formula: str = ""  # TeX

    @property
    def text(self) -> str:
        """The operation in a word, or the input's name."""
        return self.operation if self.kind in {"operation", "output"} else self.name


@dataclass(frozen=True)
class Edge:
    """An operand of a node: what goes forward is the source's value, what comes back its share of the source's adjoint."""

    source: int
    target: int
    operand: int  # 1 for the first
    contribution: Entries | None = None  # partial: along this edge alone
    contribution_formula: str = ""  # TeX


@dataclass(frozen=True)
class Step:
    """One step of the backward pass: the node whose adjoint is finished, and what it hands to its operands."""

    node: int
    edges: tuple[int, ...]  # positions in `Graph.edges` of what this step computes
    formula: str  # TeX, as in \bar A \mathrel{+}= \bar Z B^\top
    rule: str  # the catalogue rule that justifies it, as in "matmul"
    because: str  # a line of TeX: the differential, and the substitution that gives the adjoint
    error: float | None = None  # relative, against a derivative taken otherwise at this node; None if it was not looked at

    @property
    def agrees(self) -> bool | None:
        """Whether the numbers agree; None where they were not looked at."""
        return None if self.error is None else self.error < TOLERANCE


@dataclass(frozen=True)
class Mark:
    """Where a wrong claim about the derivative leaves the way back: nodes by id, edges by position, and why, in a sentence."""

    why: str
    nodes: tuple[int, ...] = ()
    edges: tuple[int, ...] = ()


@dataclass(frozen=True)
class Graph:
    """A graph with its numbers. `title` is TeX; `wrt` are the ids of the nodes whose adjoints were asked for."""

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    steps: tuple[Step, ...] = ()
    wrt: tuple[int, ...] = ()
    mark: Mark | None = None

    @property
    def output(self) -> Node:
        """The node that the others are there for: the last."""
        return self.nodes[-1]

    def uses(self, node: int) -> tuple[Edge, ...]:
        """Where a node's value goes; more than one is a fan-out, and its adjoint is the sum of their contributions."""
        return tuple(edge for edge in self.edges if edge.source == node)

    def operands(self, node: int) -> tuple[Edge, ...]:
        """What a node is made of, by operand number."""
        return tuple(sorted((edge for edge in self.edges if edge.target == node), key=lambda edge: edge.operand))

    def json(self) -> dict[str, Any]:
        """The same in words, numbers and lists."""
        from dataclasses import asdict

        return asdict(self)


def from_json(data: dict[str, Any]) -> Graph:
    """A graph from what `Graph.json` gave, or a file that it went through."""
    nodes = [Node(**_changed(node, value=_entries(node["value"]), adjoint=_entries(node["adjoint"]))) for node in data["nodes"]]
    edges = [Edge(**_changed(edge, contribution=_entries(edge["contribution"]))) for edge in data["edges"]]
    errors = [None if step["error"] is None else float(step["error"]) for step in data["steps"]]
    steps = [Step(**_changed(s, edges=tuple(s["edges"]), error=error)) for s, error in zip(data["steps"], errors, strict=True)]
    told = data.get("mark")
    mark = told and Mark(told["why"], tuple(told["nodes"]), tuple(told["edges"]))
    return Graph(data["title"], tuple(nodes), tuple(edges), tuple(steps), tuple(data["wrt"]), mark)


def _changed(data: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {**data, **parts}


def _entries(rows: Any) -> Entries | None:
    return None if rows is None else tuple(tuple(float(x) for x in row) for row in rows)


TOLERANCE = 1e-6
"Relative error up to which a step's numbers agree with finite differences."
