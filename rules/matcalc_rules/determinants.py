"""Determinants and their logarithms."""

from matcalc.array import Array, cho_inverse, cho_solve, cholesky, diagonal, log, total, trace
from matcalc.domain import positive_definite
from matcalc.rule import Linearization, rule
from matcalc.source import COOKBOOK, GILES


@rule(GILES, COOKBOOK.at("(57)"), K=positive_definite("n"))
def logdet(K: Array) -> Linearization[Array]:
    r"""Log-determinant of a positive definite matrix, through one Cholesky factorisation.

    $$ \ell = \log\det K $$
    $$ d\ell = \operatorname{tr}(K^{-1}\,dK) $$
    $$ \bar K = \bar\ell\,K^{-\top} $$
    """
    L = cholesky(K)

    def jvp(dK: Array) -> Array:
        return trace(cho_solve(L, dK))

    def vjp(l_bar: Array) -> Array:
        return l_bar * cho_inverse(L)

    return Linearization(2 * total(log(diagonal(L))), jvp, vjp)
