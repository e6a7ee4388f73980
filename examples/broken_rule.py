"""A rule with a forgotten transpose: run `matcalc verify examples/broken_rule.py` and read what is said of it."""

from matcalc.array import Array, inv
from matcalc.domain import invertible
from matcalc.rule import Linearization, rule
from matcalc.source import GILES


@rule(GILES, X=invertible("n"))
def careless_inverse(X: Array) -> Linearization[Array]:
    r"""Inverse of a matrix, its adjoint written down like its differential.

    $$ Y = X^{-1} $$
    $$ dY = -Y\,dX\,Y $$
    $$ \bar X = -Y\,\bar Y\,Y $$
    """
    Y = inv(X)

    def jvp(dX: Array) -> Array:
        return -Y @ dX @ Y

    def vjp(Y_bar: Array) -> Array:
        return -Y @ Y_bar @ Y

    return Linearization(Y, jvp, vjp)
