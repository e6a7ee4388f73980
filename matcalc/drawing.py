"""Drawings of computational graphs: `draw("x.T @ A @ x", {"x": [1, 2], "A": [[1, 2], [3, 4]]})` shows itself in a notebook."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matcalc.claims.points import random_inputs
from matcalc.derivation.graphing import graph
from matcalc.formula import Spelling, Variable, parse, variable
from matcalc.graph import Graph
from matcalc.report.graph import notebook, write_graph


@dataclass(frozen=True)
class Drawing:
    """The graph of a formula at a point, with what is needed to show it."""

    graph: Graph

    def save(self, path: str | Path) -> None:
        """Write it as one HTML file that needs no other; raises ReportError if the place cannot be written."""
        write_graph(self.graph, Path(path))

    def _repr_html_(self) -> str:
        return notebook(self.graph)


def draw(
    f: str,
    values: Mapping[str, Any] | None = None,
    wrt: Collection[str] = (),
    variables: Iterable[str | Variable] | None = None,
    *,
    spelling: Spelling | None = None,
    seed: int = 0,
) -> Drawing:
    """The computational graph of a formula with forward values and backward adjoints.

    `values` are numbers and nested lists for its inputs; without them they are random, from the sets that `variables` declare, as in
    `"K: spd(n)"`. `wrt` names the inputs whose adjoints are asked for, all by default. Raises FormulaError for a formula that cannot
    be read, a value that is missing or does not fit, and an operation without a derivative in matrix form.
    """
    declared = None if variables is None else [variable(each) if isinstance(each, str) else each for each in variables]
    read = parse(f, declared, spelling=spelling)
    known = list(read.variables.values())
    symmetric = [each.name for each in known if each.is_symmetric]
    return Drawing(graph(read.expr, random_inputs(read.expr, known, seed) if values is None else values, wrt, symmetric))
