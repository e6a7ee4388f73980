"""Derivatives of expressions in matrix form: reverse mode by named rules, step by step, and the form that a person would write."""

from matcalc.derivation.deriving import BackwardStep, Derivation, Equality, derive, differential, hessian, jacobian
from matcalc.derivation.numbers import agree
from matcalc.derivation.reverse import Interior, Path, Visit, interior, paths, prepared
from matcalc.derivation.simplify import Simplifier, simplified
from matcalc.derivation.terms import cost

__all__ = [
    "BackwardStep",
    "Derivation",
    "Equality",
    "Interior",
    "Path",
    "Simplifier",
    "Visit",
    "agree",
    "cost",
    "derive",
    "differential",
    "hessian",
    "interior",
    "jacobian",
    "paths",
    "prepared",
    "simplified",
]
