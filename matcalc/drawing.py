"""Drawings of computational graphs: `draw("x.T @ A @ x", {"x": [1, 2], "A": [[1, 2], [3, 4]]})` shows itself in a notebook."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matcalc.claims import ClaimVerdict, check_claim
from matcalc.claims.asking import Declared
from matcalc.claims.points import random_inputs
from matcalc.claims.way import Way, understood
from matcalc.derivation.graphing import graph
from matcalc.formula import Spelling
from matcalc.formula.expression import FormulaError
from matcalc.graph import Graph
from matcalc.report.graph import Claimed, notebook, write_graph


@dataclass(frozen=True)
class Drawing:
    """The graph of a formula at a point, with what is needed to show it, and the verdict on the claim, if there was one."""

    graph: Graph
    verdict: ClaimVerdict | None = None

    def save(self, path: str | Path) -> None:
        """Write it as one HTML file that needs no other; raises ReportError if the place cannot be written."""
        write_graph(self.graph, Path(path), claimed=self._claimed)

    def _repr_html_(self) -> str:
        return notebook(self.graph, claimed=self._claimed)

    @property
    def _claimed(self) -> Claimed | None:
        """The claim for the pages, with what is wrong with it first."""
        its = self.verdict
        if its is None:
            return None
        why = its.explanations[0].message if its.explanations else its.reason
        return Claimed(its.claim or "", its.reading.get("claim", {}).get("latex", ""), its.status, why)


def draw(
    f: str,
    values: Mapping[str, Any] | None = None,
    wrt: Collection[str] = (),
    variables: Declared = None,
    *,
    claim: str | None = None,
    spelling: Spelling | None = None,
    seed: int = 0,
) -> Drawing:
    """The computational graph of a formula with forward values and backward adjoints.

    `values` are numbers and nested lists for its inputs; without them they are random, from the sets that `variables` declare, as in
    `"K: spd(n)"`. `wrt` names the inputs whose adjoints are asked for, all by default. `claim` is what somebody says the derivative is
    with respect to the one input in `wrt`; where it is wrong, the graph shows where it leaves the way back. Raises FormulaError for a
    formula that cannot be read, a value that is missing, does not fit or is of no input, a point at which the function cannot be computed,
    and an operation without a derivative in matrix form; ValueError for a set that is not known or a claim without its one input.
    """
    wanted = [wrt] if isinstance(wrt, str) else list(wrt)
    if claim is not None and len(wanted) != 1:
        raise ValueError(f"a claim is about the derivative with respect to one input, but {len(wanted)} are named")
    about = "" if claim is None else wanted[0]
    way = Way(understood(f, about, claim, variables, spelling=spelling), about)
    for word in values or ():
        if word not in way.f.variables:
            raise FormulaError(f"there is a value for {word}, but the inputs are {', '.join(way.f.variables)}")
    point = random_inputs(way.f.expr, way.variables, seed) if values is None else {word: _numbers(word, x) for word, x in values.items()}
    try:
        drawn = graph(way.f.expr, point, wanted, way.symmetric)
    except np.linalg.LinAlgError as error:
        raise FormulaError(f"the function cannot be computed at these values: {str(error).lower()}") from None
    if claim is None:
        return Drawing(drawn)
    verdict = check_claim(f, about, claim, variables, spelling=spelling, seed=seed)
    return Drawing(replace(way, kind=verdict.kind).marked(drawn, verdict.explanations), verdict)


def _numbers(word: str, value: Any) -> NDArray[np.float64]:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise FormulaError(f"the value of {word} must be a number or rows of numbers of equal length, but {value!r} came") from None
