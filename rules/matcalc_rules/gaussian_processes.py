"""Gaussian processes and the Gaussian-process latent variable model; every rule factors its covariance once."""

import math

from matcalc.array import (
    BLOCK,
    Array,
    cho_inverse,
    cho_solve,
    cholesky,
    diagonal,
    identity_like,
    inner,
    log,
    outer,
    solve_lower,
    total,
    trace,
)
from matcalc.domain import held, positive, positive_definite, real
from matcalc.rule import Linearization, rule
from matcalc.source import COOKBOOK, LAWRENCE, NOTES, RASMUSSEN_WILLIAMS


def _covariance_factor(A: Array, alpha: Array, beta: Array) -> Array:
    """Cholesky factor of alpha A Aᵀ + I / beta."""
    AAt = A @ A.mT
    return cholesky(alpha * AAt + identity_like(AAt) / beta)


@rule(NOTES.at("N4.5"), NOTES.at("N4.6"), LAWRENCE, A=real("n q"), alpha=positive(), beta=positive(), D=held(positive()))
def gplvm_logdet_term(A: Array, alpha: Array, beta: Array, D: Array) -> Linearization[Array]:
    r"""Log-determinant term of the likelihood of a latent variable model with D outputs; A and its transpose are two paths.

    $$ \ell = -\tfrac12 D \log\det K $$
    $$ d\ell = -\tfrac12 D \left( \operatorname{tr}(K^{-1} A A^\top)\,d\alpha + 2 \alpha \operatorname{tr}(A^\top K^{-1} dA)
              - \tfrac{1}{\beta^2} \operatorname{tr}(K^{-1})\,d\beta \right) $$
    $$ \bar A = -\bar\ell D \alpha K^{-1} A, \quad \bar \alpha = -\tfrac12 \bar\ell D \operatorname{tr}(K^{-1} A A^\top), \quad
       \bar \beta = \frac{\bar\ell D}{2 \beta^2} \operatorname{tr}(K^{-1}) $$
    $$ K = \alpha A A^\top + \beta^{-1} I $$
    """
    L = _covariance_factor(A, alpha, beta)

    def gradient() -> tuple[Array, Array, Array]:
        K_inv = cho_inverse(L)
        S = K_inv @ A
        return -D * alpha * S, -D / 2 * inner(S, A), D / (2 * beta * beta) * trace(K_inv)

    def jvp(dA: Array, dalpha: Array, dbeta: Array) -> Array:
        A_gradient, alpha_gradient, beta_gradient = gradient()
        return inner(A_gradient, dA) + alpha_gradient * dalpha + beta_gradient * dbeta

    def vjp(l_bar: Array) -> tuple[Array, Array, Array]:
        A_gradient, alpha_gradient, beta_gradient = gradient()
        return l_bar * A_gradient, l_bar * alpha_gradient, l_bar * beta_gradient

    return Linearization(-D * total(log(diagonal(L))), jvp, vjp)


@rule(NOTES.at("N4.7"), LAWRENCE, A=real("n q"), alpha=positive(), beta=positive(), B=real("n d"))
def gplvm_trace_term(A: Array, alpha: Array, beta: Array, B: Array) -> Linearization[Array]:
    r"""Data term of the likelihood of a latent variable model with outputs B; A and its transpose are two paths.

    $$ \ell = -\tfrac12 \operatorname{tr}(P^{-1} B B^\top) $$
    $$ d\ell = \alpha \operatorname{tr}(A^\top S S^\top dA) + \tfrac12 \|S^\top A\|_F^2\,d\alpha - \tfrac{1}{2 \beta^2} \|S\|_F^2\,d\beta
              - \operatorname{tr}(S^\top dB) $$
    $$ \bar A = \bar\ell \alpha S S^\top A, \quad \bar \alpha = \tfrac12 \bar\ell \|S^\top A\|_F^2, \quad
       \bar \beta = -\tfrac{1}{2 \beta^2} \bar\ell \|S\|_F^2, \quad \bar B = -\bar\ell S $$
    $$ P = \alpha A A^\top + \beta^{-1} I, \quad S = P^{-1} B $$
    """
    L = _covariance_factor(A, alpha, beta)
    V = solve_lower(L, B)

    def gradient() -> tuple[Array, Array, Array, Array]:
        S = solve_lower(L, V, transpose=True)
        SA = S.mT @ A
        return alpha * S @ SA, inner(SA, SA) / 2, -inner(S, S) / (2 * beta * beta), -S

    def jvp(dA: Array, dalpha: Array, dbeta: Array, dB: Array) -> Array:
        A_gradient, alpha_gradient, beta_gradient, B_gradient = gradient()
        return inner(A_gradient, dA) + alpha_gradient * dalpha + beta_gradient * dbeta + inner(B_gradient, dB)

    def vjp(l_bar: Array) -> tuple[Array, Array, Array, Array]:
        A_gradient, alpha_gradient, beta_gradient, B_gradient = gradient()
        return l_bar * A_gradient, l_bar * alpha_gradient, l_bar * beta_gradient, l_bar * B_gradient

    return Linearization(-inner(V, V) / 2, jvp, vjp)


@rule(NOTES.at("N4.7"), COOKBOOK.at("(124)"), P=positive_definite("n"), B=real("n d"))
def trace_inverse_product(P: Array, B: Array) -> Linearization[Array]:
    r"""Trace of the inverse of a positive definite matrix times a Gram matrix, by one Cholesky factorisation.

    $$ f = \operatorname{tr}(P^{-1} B B^\top) $$
    $$ df = 2 \operatorname{tr}(S^\top dB) - \operatorname{tr}(S S^\top dP) $$
    $$ \bar P = -\bar f S S^\top, \quad \bar B = 2 \bar f S $$
    $$ S = P^{-1} B $$
    """
    L = cholesky(P)
    n, d = B.shape
    by_inverse = n > BLOCK and 2 * d >= n  # there products of matrices are faster than triangular solves
    S = cho_inverse(L) @ B if by_inverse else cho_solve(L, B)

    def jvp(dP: Array, dB: Array) -> Array:
        return 2 * inner(S, dB) - inner(S, dP @ S)

    def vjp(f_bar: Array) -> tuple[Array, Array]:
        B_bar = 2 * f_bar * S
        return -0.5 * (B_bar @ S.mT), B_bar

    return Linearization(inner(B, S), jvp, vjp)


@rule(RASMUSSEN_WILLIAMS, K=positive_definite("n"), y=real("n"))
def gp_log_marginal_likelihood(K: Array, y: Array) -> Linearization[Array]:
    r"""Log-probability of observations y under a Gaussian process whose covariance, noise included, is K.

    $$ \ell = -\tfrac12 y^\top K^{-1} y - \tfrac12 \log\det K - \tfrac12 n \log(2 \pi) $$
    $$ d\ell = \tfrac12 \operatorname{tr}((a a^\top - K^{-1})\,dK) - a^\top dy $$
    $$ \bar K = \tfrac12 \bar\ell (a a^\top - K^{-1}), \quad \bar y = -\bar\ell a $$
    $$ a = K^{-1} y $$
    """
    L = cholesky(K)
    a = cho_solve(L, y)

    def jvp(dK: Array, dy: Array) -> Array:
        return (inner(a, dK @ a) - trace(cho_solve(L, dK))) / 2 - inner(a, dy)

    def vjp(l_bar: Array) -> tuple[Array, Array]:
        return l_bar / 2 * (outer(a, a) - cho_inverse(L)), -l_bar * a

    value = -inner(y, a) / 2 - total(log(diagonal(L))) - y.shape[0] * math.log(2 * math.pi) / 2
    return Linearization(value, jvp, vjp)


@rule(RASMUSSEN_WILLIAMS, C=real("m n"), K=positive_definite("n"), y=real("n"))
def gp_predictive_mean(C: Array, K: Array, y: Array) -> Linearization[Array]:
    r"""Mean of a Gaussian process at new points, given observations y with covariance K; C holds the covariances of new with old.

    $$ m = C a $$
    $$ dm = dC\,a + C K^{-1} (dy - dK\,a) $$
    $$ \bar C = \bar m a^\top, \quad \bar K = -b a^\top, \quad \bar y = b $$
    $$ a = K^{-1} y, \quad b = K^{-1} C^\top \bar m $$
    """
    L = cholesky(K)
    a = cho_solve(L, y)

    def jvp(dC: Array, dK: Array, dy: Array) -> Array:
        return dC @ a + C @ cho_solve(L, dy - dK @ a)

    def vjp(m_bar: Array) -> tuple[Array, Array, Array]:
        b = cho_solve(L, m_bar @ C)
        return outer(m_bar, a), -outer(b, a), b

    return Linearization(C @ a, jvp, vjp)
