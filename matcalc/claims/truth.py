"""The true derivative as an expression, from the derivation room, and what takes its place where there is none."""

from __future__ import annotations

from matcalc.claims.points import Variable
from matcalc.derivation.reverse import backward, prepared
from matcalc.formula.expression import Expr
from matcalc.formula.operations import make, number


def gradient(f: Expr, wrt: Variable) -> Expr:
    """The gradient of a scalar function, symmetric where the variable is."""
    raw = next((visit.adjoint for visit in backward(prepared(f), [wrt.name]) if visit.node.op == "name"), None)
    if raw is None:
        from matcalc.derivation.building import zero

        return zero(wrt.expr)
    return symmetric_part(raw) if wrt.is_symmetric else raw


def symmetric_part(X: Expr) -> Expr:
    """(X + Xᵀ)/2."""
    return make("scale", number(0.5), make("add", X, make("transpose", X)))
