"""Wrong gradients of functions that read one triangle of a matrix, or that assume a matrix to be symmetric.

The right ones: `triangular_solve`, `lower_triangle`, `symmetric_part`, `logdet` of the catalogue.
"""

from issues import issue

from matcalc.array import (
    Array,
    cho_inverse,
    cho_solve,
    cholesky,
    diagonal,
    eigh,
    identity_like,
    log,
    solve_lower,
    total,
    trace,
    tril,
    triu,
)
from matcalc.domain import lower_triangular, positive_definite, real, upper_triangular
from matcalc.rule import Linearization, rule


@rule(issue("jax-ml/jax", 1458), L=lower_triangular("n"), B=real("n p"))
def triangular_solve_unmasked(L: Array, B: Array) -> Linearization[Array]:
    r"""Solution of a lower triangular system.

    $$ L X = B $$
    $$ dX = L^{-1} (dB - dL\,X) $$
    $$ \bar B = L^{-\top} \bar X, \quad \bar L = -\operatorname{tril}(\bar B\,X^\top) $$

    jax #1458: the tangent of the matrix was not masked to its triangle, and so its adjoint fills the triangle that is not read.
    """
    X = solve_lower(L, B)

    def jvp(dL: Array, dB: Array) -> Array:
        return solve_lower(L, dB - dL @ X)

    def vjp(X_bar: Array) -> tuple[Array, Array]:
        B_bar = solve_lower(L, X_bar, transpose=True)
        return -B_bar @ X.mT, B_bar

    return Linearization(X, jvp, vjp)


@rule(issue("pytorch/pytorch", 196707), L=lower_triangular("n"), B=real("n p"))
def unit_triangular_solve(L: Array, B: Array) -> Linearization[Array]:
    r"""Solution of a lower triangular system whose diagonal counts as ones, whatever stands there.

    $$ \tilde L X = B, \quad \tilde L = \operatorname{tril}_{-1}(L) + I $$
    $$ dX = \tilde L^{-1} (dB - \operatorname{tril}_{-1}(dL)\,X) $$
    $$ \bar B = \tilde L^{-\top} \bar X, \quad \bar L = -\operatorname{tril}_{-1}(\bar B\,X^\top) $$

    pytorch #196707: the tangent of the diagonal, which is not read, entered the tangent of the solution.
    """
    X = solve_lower(L, B, unit=True)

    def jvp(dL: Array, dB: Array) -> Array:
        return solve_lower(L, dB - tril(dL) @ X, unit=True)

    def vjp(X_bar: Array) -> tuple[Array, Array]:
        B_bar = solve_lower(L, X_bar, transpose=True, unit=True)
        return -tril(B_bar @ X.mT, -1), B_bar

    return Linearization(X, jvp, vjp)


@rule(issue("pymc-devs/pytensor", 1230), L=lower_triangular("n"), B=real("n p"))
def transposed_triangular_solve(L: Array, B: Array) -> Linearization[Array]:
    r"""Solution of a system whose matrix is the transpose of a lower triangular one.

    $$ L^\top X = B $$
    $$ dX = L^{-\top} (dB - dL^\top X) $$
    $$ \bar B = L^{-1} \bar X, \quad \bar L = -\operatorname{tril}(X\,\bar B^\top) $$

    pytensor #1230: the gradient did not look at the option that transposes, and was that of L X = B.
    """
    X = solve_lower(L, B, transpose=True)

    def jvp(dL: Array, dB: Array) -> Array:
        return solve_lower(L, dB - dL.mT @ X, transpose=True)

    def vjp(X_bar: Array) -> tuple[Array, Array]:
        B_bar = solve_lower(L, X_bar, transpose=True)
        return -tril(B_bar @ X.mT), B_bar

    return Linearization(X, jvp, vjp)


@rule(issue("FluxML/Zygote.jl", 343), L=lower_triangular("n"))
def symmetric_of_lower(L: Array) -> Linearization[Array]:
    r"""The symmetric matrix of which a triangle is given.

    $$ S = L + L^\top - \operatorname{diag}(L) $$
    $$ dS = dL + dL^\top - \operatorname{diag}(dL) $$
    $$ \bar L = \operatorname{tril}(\bar S + \bar S^\top) - \operatorname{diag}(\bar S) $$

    Zygote #343: the gradient took it for granted that the given triangle was the upper one.
    """
    identity = identity_like(L)

    def jvp(dL: Array) -> Array:
        return tril(dL) + tril(dL, -1).mT

    def vjp(S_bar: Array) -> Array:
        return triu(S_bar + S_bar.mT) - identity * S_bar

    return Linearization(tril(L) + tril(L, -1).mT, jvp, vjp)


@rule(issue("HIPS/autograd", 527), R=upper_triangular("n"))
def square_sum_of_upper_eigenvalues(R: Array) -> Linearization[Array]:
    r"""Sum of the squared eigenvalues of the symmetric matrix whose upper triangle is given.

    $$ s = \sum_i \lambda_i^2, \quad S = R + R^\top - \operatorname{diag}(R) = V \operatorname{diag}(\lambda)\,V^\top $$
    $$ ds = 2 \operatorname{tr}(V \operatorname{diag}(\lambda)\,V^\top (dR + dR^\top - \operatorname{diag}(dR))) $$
    $$ \bar R = \bar s\,(\operatorname{triu}(4 S) - \operatorname{diag}(2 S)) $$

    HIPS/autograd #527: whichever triangle the eigenvalues were asked to be read from, the gradient stood in the lower one.
    """
    identity = identity_like(R)
    lam, V = eigh(triu(R) + triu(R, 1).mT)
    G = 2 * (V * lam) @ V.mT

    def jvp(dR: Array) -> Array:
        return total(G * (triu(dR) + triu(dR, 1).mT))

    def vjp(s_bar: Array) -> Array:
        return s_bar * (tril(2 * G) - identity * G)

    return Linearization(total(lam**2), jvp, vjp)


@rule(issue("stan-dev/math", 1803), K=positive_definite("n"))
def logdet_of_one_triangle(K: Array) -> Linearization[Array]:
    r"""Log-determinant of a positive definite matrix.

    $$ \ell = \log\det K $$
    $$ d\ell = \operatorname{tr}(K^{-1}\,dK) $$
    $$ \bar K = \bar\ell\,K^{-\top} $$

    stan-dev/math #1803: only one triangle of a symmetric matrix got a gradient, and what belongs to the other one was not added.
    """
    L = cholesky(K)

    def jvp(dK: Array) -> Array:
        return trace(cho_solve(L, dK))

    def vjp(l_bar: Array) -> Array:
        return tril(l_bar * cho_inverse(L))

    return Linearization(2 * total(log(diagonal(L))), jvp, vjp)
