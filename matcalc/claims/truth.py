"""The true derivative as an expression: what the derivation room lets come back to a variable."""

from __future__ import annotations

from matcalc.claims.points import Variable
from matcalc.derivation.adjoints import Pull, shares
from matcalc.derivation.building import UNIT, zero
from matcalc.derivation.deriving import symmetric_part
from matcalc.derivation.reverse import backward, prepared
from matcalc.formula.expression import Expr


def adjoint_of(f: Expr, wrt: Variable, *, seed: Expr = UNIT, pull: Pull = shares) -> Expr:
    """The adjoint of a variable where that of f is `seed`, by the rules of `pull`; FormulaError where there is no rule."""
    for visit in backward(prepared(f), [wrt.name], seed=seed, pull=pull):
        if visit.node.op == "name":
            return visit.adjoint
    return zero(wrt.expr)


def gradient(f: Expr, wrt: Variable) -> Expr:
    """The gradient of a scalar function, symmetric where the variable is."""
    found = adjoint_of(f, wrt)
    return symmetric_part(found) if wrt.is_symmetric else found
