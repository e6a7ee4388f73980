"""Wrong derivatives of functions of matrices. The right ones: `matrix_exponential`, `spd_square_root` of the catalogue."""

from issues import issue

from matcalc.array import Array, diagonal, eig_real, eigh, exp, expm_and_differential, identity_like, inv, largest, sqrt, triu, where
from matcalc.domain import positive_definite, real, upper_triangular
from matcalc.rule import Linearization, rule


@rule(issue("FluxML/Zygote.jl", 340), R=upper_triangular("n>=1"))
def exponential_by_eigenvectors(R: Array) -> Linearization[Array]:
    r"""Exponential of an upper triangular matrix.

    $$ Y = \exp R $$
    $$ dY = \int_0^1 e^{t R}\,dR\,e^{(1 - t) R}\,dt $$
    $$ \bar R = \operatorname{triu} \int_0^1 e^{t R^\top}\,\bar Y\,e^{(1 - t) R^\top}\,dt $$

    Zygote #340: the gradient divided by differences of eigenvalues and by the matrix of eigenvectors; where a repeated eigenvalue
    has too few of those, the matrix is singular.
    """
    T = triu(R)
    Y, differential = expm_and_differential(T)

    def vjp(Y_bar: Array) -> Array:
        lam, V = eig_real(T)
        gaps = lam[:, None] - lam[None, :]
        equal = gaps == 0
        quotients = where(equal, exp(lam)[:, None] + 0 * gaps, (exp(lam)[:, None] - exp(lam)[None, :]) / where(equal, 1 + gaps, gaps))
        return triu(inv(V).mT @ (quotients * (V.mT @ Y_bar @ inv(V).mT)) @ V.mT)

    def jvp(dR: Array) -> Array:
        return differential(triu(dR))

    return Linearization(Y, jvp, vjp)


@rule(issue("jiangtaoxie/fast-MPN-COV", 7), A=real("n n"))
def square_root_step(A: Array) -> Linearization[Array]:
    r"""The first step of a Newton-Schulz iteration for the square root of a matrix near the identity.

    $$ Y = \tfrac12 A\,(3 I - A) $$
    $$ dY = \tfrac12 (dA\,(3 I - A) - A\,dA) $$
    $$ \bar A = \tfrac12 (\bar Y (3 I - A)^\top - A^\top \bar Y) $$

    fast-MPN-COV #7: the backward pass of the iteration had no transposes, which is right for symmetric matrices only.
    """
    B = 3 * identity_like(A) - A

    def jvp(dA: Array) -> Array:
        return (dA @ B - A @ dA) / 2

    def vjp(Y_bar: Array) -> Array:
        return (Y_bar @ B - A @ Y_bar) / 2

    return Linearization(A @ B / 2, jvp, vjp)


@rule(issue("tensorflow/tensorflow", 57486), K=positive_definite("n"))
def square_root_of_nothing(K: Array) -> Linearization[Array]:
    r"""Square root of a positive definite matrix.

    $$ S S = K $$
    $$ dS\,S + S\,dS = dK $$
    $$ \bar K\,S + S\,\bar K = \bar S $$

    tensorflow #57486: on an empty matrix, which is its own square root, the square root crashed.
    """
    scale = largest(diagonal(K))
    lam, V = eigh(K / scale)
    root = sqrt(lam * scale)

    def solution(C: Array) -> Array:
        return V @ ((V.mT @ C @ V) / (root[:, None] + root[None, :])) @ V.mT

    return Linearization((V * root) @ V.mT, solution, solution)
