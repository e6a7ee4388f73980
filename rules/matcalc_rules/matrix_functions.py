"""Functions of square matrices (not entry by entry): exponential, logarithm, roots and powers."""

from matcalc.array import (
    Array,
    absolute,
    eigh,
    exp,
    expm,
    expm1,
    expm_and_differential,
    identity_like,
    inner,
    log,
    maximum,
    sqrt,
    total,
    trace,
    where,
)
from matcalc.domain import distinct, invertible, orthonormal, positive, positive_definite, real, symmetric
from matcalc.rule import Linearization, built_from, rule
from matcalc.source import AL_MOHY_HIGHAM, GILES, HIGHAM
from matcalc_rules.factorizations import congruent, similar


@built_from(similar, value=lambda lam, V: similar(exp(lam), V), lam=distinct("n"), V=invertible("n"))
@rule(AL_MOHY_HIGHAM, GILES, HIGHAM, A=real("n n"))
def matrix_exponential(A: Array) -> Linearization[Array]:
    r"""Exponential of any square matrix; A and dA do not commute, so that the differential is not e^A dA.

    $$ Z = \operatorname{expm}(A) $$
    $$ dZ = L(A, dA) $$
    $$ \bar A = L(A^\top, \bar Z) $$
    $$ \operatorname{expm} \begin{pmatrix} A & E \\ 0 & A \end{pmatrix}
       = \begin{pmatrix} \operatorname{expm}(A) & L(A, E) \\ 0 & \operatorname{expm}(A) \end{pmatrix} $$
    """
    Z, differential = expm_and_differential(A)

    def jvp(dA: Array) -> Array:
        return differential(dA)

    def vjp(Z_bar: Array) -> Array:
        return differential(Z_bar.mT).mT

    return Linearization(Z, jvp, vjp)


@built_from(similar, value=lambda lam, _V: total(exp(lam)), lam=distinct("n"), V=invertible("n"))
@rule(HIGHAM, A=real("n n"))
def trace_exponential(A: Array) -> Linearization[Array]:
    r"""Trace of the exponential of any square matrix; under the trace the factors commute after all.

    $$ f = \operatorname{tr}(\operatorname{expm}(A)) $$
    $$ df = \operatorname{tr}(\operatorname{expm}(A)\,dA) $$
    $$ \bar A = \bar f\,\operatorname{expm}(A)^\top $$
    """
    Z = expm(A)

    def jvp(dA: Array) -> Array:
        return inner(Z.mT, dA)

    def vjp(f_bar: Array) -> Array:
        return f_bar * Z.mT

    return Linearization(trace(Z), jvp, vjp)


@built_from(congruent, value=lambda lam, V: congruent(exp(lam), V), lam=distinct("n"), V=orthonormal("n n"))
@rule(HIGHAM, S=symmetric("n"))
def symmetric_exponential(S: Array) -> Linearization[Array]:
    r"""Exponential of a symmetric matrix, in the basis of its eigenvectors (Daleckii and Krein); eigenvalues may be equal.

    $$ Z = \operatorname{expm}(S) $$
    $$ dZ = V (F \odot (V^\top dS\,V)) V^\top $$
    $$ \bar S = V (F \odot (V^\top \bar Z V)) V^\top $$
    $$ S = V \operatorname{diag}(\lambda) V^\top, \quad
       F_{ij} = \frac{e^{\lambda_i} - e^{\lambda_j}}{\lambda_i - \lambda_j}, \quad F_{ii} = e^{\lambda_i} $$
    """
    lam, V = eigh(S)

    def jvp(dS: Array) -> Array:
        return _in_basis(V, _divided_differences_of_exp(lam), dS)

    def vjp(Z_bar: Array) -> Array:
        return _in_basis(V, _divided_differences_of_exp(lam), Z_bar)

    return Linearization((V * exp(lam)) @ V.mT, jvp, vjp)


@built_from(congruent, value=lambda lam, V: congruent(log(lam), V), lam=positive("n"), V=orthonormal("n n"))
@rule(HIGHAM, K=positive_definite("n"))
def spd_logarithm(K: Array) -> Linearization[Array]:
    r"""Logarithm of a positive definite matrix, in the basis of its eigenvectors; eigenvalues may be equal.

    $$ Z = \operatorname{logm}(K) $$
    $$ dZ = V (F \odot (V^\top dK\,V)) V^\top $$
    $$ \bar K = V (F \odot (V^\top \bar Z V)) V^\top $$
    $$ K = V \operatorname{diag}(\lambda) V^\top, \quad
       F_{ij} = \frac{\log\lambda_i - \log\lambda_j}{\lambda_i - \lambda_j}, \quad F_{ii} = \frac{1}{\lambda_i} $$
    """
    lam, V = eigh(K)
    log_lam = log(lam)

    def jvp(dK: Array) -> Array:
        return _in_basis(V, 1 / _divided_differences_of_exp(log_lam), dK)

    def vjp(Z_bar: Array) -> Array:
        return _in_basis(V, 1 / _divided_differences_of_exp(log_lam), Z_bar)

    return Linearization((V * log_lam) @ V.mT, jvp, vjp)


@built_from(lambda S: S @ S, S=positive_definite("n"))
@rule(HIGHAM, K=positive_definite("n"))
def spd_square_root(K: Array) -> Linearization[Array]:
    r"""Positive definite square root of a positive definite matrix; differential and adjoint solve Lyapunov equations.

    $$ S = K^{1/2} $$
    $$ S\,dS + dS\,S = dK $$
    $$ S \bar K + \bar K S = \bar S $$
    """
    lam, V = eigh(K)
    root = sqrt(lam)

    def jvp(dK: Array) -> Array:
        return _in_basis(V, 1 / (root[:, None] + root), dK)

    def vjp(S_bar: Array) -> Array:
        return _in_basis(V, 1 / (root[:, None] + root), S_bar)

    return Linearization((V * root) @ V.mT, jvp, vjp)


@built_from(congruent, value=lambda lam, V: congruent(1 / sqrt(lam), V), lam=positive("n"), V=orthonormal("n n"))
@rule(HIGHAM, K=positive_definite("n"))
def spd_inverse_square_root(K: Array) -> Linearization[Array]:
    r"""Inverse of the positive definite square root, which whitens vectors of covariance K.

    $$ Z = K^{-1/2} $$
    $$ dZ = -V (F \odot (V^\top dK\,V)) V^\top $$
    $$ \bar K = -V (F \odot (V^\top \bar Z V)) V^\top $$
    $$ K = V \operatorname{diag}(\lambda) V^\top, \quad
       F_{ij} = \frac{1}{\sqrt{\lambda_i}\sqrt{\lambda_j}\,(\sqrt{\lambda_i} + \sqrt{\lambda_j})} $$
    """
    lam, V = eigh(K)
    root = sqrt(lam)

    def weights() -> Array:
        return -1 / (root[:, None] * root * (root[:, None] + root))

    def jvp(dK: Array) -> Array:
        return _in_basis(V, weights(), dK)

    def vjp(Z_bar: Array) -> Array:
        return _in_basis(V, weights(), Z_bar)

    return Linearization((V / root) @ V.mT, jvp, vjp)


@built_from(
    lambda lam, V, p: (congruent(lam, V), p),
    value=lambda lam, V, p: congruent(exp(p * log(lam)), V),
    lam=positive("n"),
    V=orthonormal("n n"),
    p=real(),
)
@rule(HIGHAM, K=positive_definite("n"), p=real())
def spd_power(K: Array, p: Array) -> Linearization[Array]:
    r"""Any real power of a positive definite matrix, differentiated in the exponent too; eigenvalues may be equal.

    $$ Z = K^p $$
    $$ dZ = V (F \odot (V^\top dK\,V)) V^\top + Z \operatorname{logm}(K)\,dp $$
    $$ \bar K = V (F \odot (V^\top \bar Z V)) V^\top, \quad \bar p = \operatorname{tr}(\bar Z^\top Z \operatorname{logm}(K)) $$
    $$ K = V \operatorname{diag}(\lambda) V^\top, \quad
       F_{ij} = \frac{\lambda_i^p - \lambda_j^p}{\lambda_i - \lambda_j}, \quad F_{ii} = p\,\lambda_i^{p-1} $$
    """
    lam, V = eigh(K)
    log_lam = log(lam)
    powers = exp(p * log_lam)

    def weights() -> Array:
        return p * _divided_differences_of_exp(p * log_lam) / _divided_differences_of_exp(log_lam)

    def jvp(dK: Array, dp: Array) -> Array:
        return _in_basis(V, weights(), dK) + dp * ((V * (powers * log_lam)) @ V.mT)

    def vjp(Z_bar: Array) -> tuple[Array, Array]:
        return _in_basis(V, weights(), Z_bar), inner(Z_bar @ V, V * (powers * log_lam))

    return Linearization((V * powers) @ V.mT, jvp, vjp)


def _in_basis(V: Array, F: Array, E: Array) -> Array:
    """V (F ⊙ (Vᵀ E V)) Vᵀ: a map that is its own adjoint where F is symmetric."""
    return V @ (F * (V.mT @ E @ V)) @ V.mT


def _divided_differences_of_exp(x: Array) -> Array:
    """All (exp(x_i) - exp(x_j)) / (x_i - x_j), exp(x_i) where the two are equal, without cancellation and overflow."""
    gap = absolute(x[:, None] - x) * (1 - identity_like(x))  # a compiler may fuse what x is made of into a difference that is not 0
    apart = gap > 0
    return exp(maximum(x[:, None], x)) * where(apart, -expm1(-gap) / where(apart, gap, 1.0), 1.0)
