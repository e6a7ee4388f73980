"""Explanations by the way back: its last steps are missing, it led to another variable, or one of its rules was wrong."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from matcalc.claims.bench import close, others
from matcalc.claims.layers import difference
from matcalc.claims.mistakes import mistaken
from matcalc.claims.search import COSTS, Reason, Search
from matcalc.derivation.deriving import symmetric_part
from matcalc.derivation.reverse import backward
from matcalc.formula.expression import Expr
from matcalc.formula.operations import make


def interior(search: Search) -> None:
    """The adjoint of a part of the function: the last steps are missing."""
    target = search.question.target
    seen: set[Expr] = set()
    for form in dict.fromkeys((search.f, target)):
        for visit in backward(form, list(form.names), seed=search.bench.seed):
            node = visit.node
            if node in seen or node == form:
                continue
            seen.add(node)
            if (node.args[0] if node.op == "transpose" else node).op == "name":  # a variable transposed is no other one
                continue
            c = search.bench.is_claimed(visit.adjoint, factor=True)
            if c is None:
                continue
            depends = search.question.wrt.name in node.names
            steps = f": the steps from there to {search.question.wrt.name} are missing" if depends else ""
            shown = search.spell(node)
            more = (0.0 if depends else 0.4) + (0.5 if c != 1 else 0.0)
            search.add("chain_missing", f"the claim is the derivative with respect to {shown}{_besides(c)}{steps}", more, about=shown)


def _besides(c: Fraction) -> str:
    return "" if c == 1 else f", times {c}"


def outer_steps(search: Search) -> None:
    """The derivative of a part of the function: the first steps are missing."""
    name = search.question.wrt.name
    if not search.f.is_scalar:
        return
    for node in search.f.nodes():
        if node == search.f or name not in node.names or node.op in {"name", "transpose", "neg"} or search.late:
            continue
        inner = search.bench.derived(of=node if node.is_scalar else make("sum", node))
        c = search.bench.is_claimed(inner, factor=True)
        if c is not None:
            shown = search.spell(node)
            what = shown if node.is_scalar else f"the sum of {shown}"
            kind = "outer_chain" if node.is_scalar else "chain_missing"
            more = 0.3 if c == 1 else 0.6
            search.add(kind, f"the claim is the derivative of {what}{_besides(c)}: what comes after it is left out", more, about=shown)


def variables(search: Search) -> None:
    """The derivative with respect to another variable."""
    for v in others(search.question):
        if v.name not in search.f.names:
            continue
        c = search.bench.is_claimed(search.bench.derived(by=v.name), factor=True)
        if c is not None:
            says = f"the claim is the derivative with respect to {v.name}{_besides(c)}"
            search.add("wrong_variable", says, 0.0 if c == 1 else 0.5, about=v.name)


def entries_by_a_number(search: Search) -> None:
    """The derivative of what is summed with respect to a number, entry by entry."""
    summed = [node.args[0] for node in search.question.target.nodes() if node.op == "sum"]
    for v in others(search.question):
        for inside in summed if v.expr.is_scalar else ():
            if v.name in inside.names and not search.late and _slopes_are_claimed(search, inside, v.name):
                shown = search.spell(inside)
                search.add(
                    "wrong_variable", f"the claim is the derivative of {shown} with respect to {v.name}, entry by entry", 0.3, v.name
                )


def _slopes_are_claimed(search: Search, inside: Expr, by: str) -> bool:
    for at in search.bench.points:
        slope, _ = difference(inside, at.inputs, by, np.ones(()), at.sizes)
        if slope.shape != at.claimed.shape or not close(slope, at.claimed):
            return False
    return True


def mistakes(search: Search) -> None:
    """One rule of differentiation used wrongly."""
    for mistake, node, wrong in mistaken(search.bench):
        if search.late:
            return
        for form in [wrong, symmetric_part(wrong)] if search.question.of_symmetric else [wrong]:
            c = search.bench.is_claimed(form, factor=True)
            if c is None:
                continue
            shown = search.spell(node)
            says = mistake.says.format(node=shown)
            if c == 1:
                search.add(mistake.kind, says, mistake.cost, about=shown)
            else:
                more = mistake.cost + 0.5
                search.doubtful.append(
                    Reason(mistake.kind, f"{says}, and there is a factor {c} besides", COSTS[mistake.kind] + more, shown)
                )
            break
