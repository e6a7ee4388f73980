"""Wrong derivatives of factorisations. The right ones: `cholesky`, `qr`, `eigh`, `svd` of the catalogue."""

from issues import issue

from matcalc.array import (
    Array,
    eigh,
    fix_signs,
    identity_like,
    inner,
    solve_lower,
    solve_upper,
    sym,
    thin_svd,
    total,
    trace,
    tril,
    triu,
    zeros_like,
)
from matcalc.array import cholesky as cholesky_factor
from matcalc.array import qr as qr_factors
from matcalc.domain import distinct_singular_values, positive_definite, real, scaled, simple_spectrum, tall
from matcalc.rule import Linearization, rule


def _half_triangle(X: Array) -> Array:
    """The lower triangle with half of the diagonal: what Φ stands for."""
    return tril(X) - 0.5 * identity_like(X) * X


def _cholesky_differential(L: Array, dK: Array) -> Array:
    """The right differential of the Cholesky factor."""
    return L @ _half_triangle(solve_lower(L, solve_lower(L, dK).mT).mT)


def _cholesky_gradient(L: Array, L_bar: Array) -> Array:
    """The right adjoint of that, symmetric."""
    return sym(solve_lower(L, solve_lower(L, _half_triangle(L.mT @ L_bar), transpose=True).mT, transpose=True))


@rule(issue("FluxML/Zygote.jl", 230), K=positive_definite("n"))
def cholesky_halved(K: Array) -> Linearization[Array]:
    r"""Lower triangular Cholesky factor of a positive definite matrix.

    $$ K = L L^\top $$
    $$ dL = L\,\Phi(L^{-1}\,dK\,L^{-\top}) $$
    $$ \bar K = \tfrac12 L^{-\top} (\Phi(L^\top \bar L) + \Phi(L^\top \bar L)^\top)\,L^{-1} $$

    Zygote #230: a change halved a gradient that had been right, and the tests, all of which made their matrix positive definite by
    a product in front, did not see it.
    """
    L = cholesky_factor(K)

    def jvp(dK: Array) -> Array:
        return _cholesky_differential(L, dK)

    def vjp(L_bar: Array) -> Array:
        return _cholesky_gradient(L, L_bar) / 2

    return Linearization(L, jvp, vjp)


@rule(issue("JuliaDiff/ChainRules.jl", 414), K=positive_definite("n"))
def cholesky_without_gradient(K: Array) -> Linearization[Array]:
    r"""Lower triangular Cholesky factor of a positive definite matrix.

    $$ K = L L^\top $$
    $$ dL = L\,\Phi(L^{-1}\,dK\,L^{-\top}) $$
    $$ \bar K = \tfrac12 L^{-\top} (\Phi(L^\top \bar L) + \Phi(L^\top \bar L)^\top)\,L^{-1} $$

    ChainRules #414: for a matrix declared Hermitian the gradient came out as zeros.
    """
    L = cholesky_factor(K)

    def jvp(dK: Array) -> Array:
        return _cholesky_differential(L, dK)

    def vjp(L_bar: Array) -> Array:
        return 0 * _cholesky_gradient(L, L_bar)

    return Linearization(L, jvp, vjp)


@rule(issue("pytorch/pytorch", 18825), K=positive_definite("n"))
def cholesky_counted_twice(K: Array) -> Linearization[Array]:
    r"""Lower triangular Cholesky factor of a positive definite matrix.

    $$ K = L L^\top $$
    $$ dL = L\,\Phi(L^{-1}\,dK\,L^{-\top}) $$
    $$ \bar K = \tfrac12 L^{-\top} (\Phi(L^\top \bar L) + \Phi(L^\top \bar L)^\top)\,L^{-1} $$

    pytorch #18825: the gradient was that with respect to the entries of one triangle, each of which stands for two entries of the
    matrix, but it was written into both triangles: everything off the diagonal counted twice.
    """
    L = cholesky_factor(K)

    def jvp(dK: Array) -> Array:
        return _cholesky_differential(L, dK)

    def vjp(L_bar: Array) -> Array:
        G = _cholesky_gradient(L, L_bar)
        return 2 * G - identity_like(G) * G

    return Linearization(L, jvp, vjp)


@rule(issue("stan-dev/math", 2364), K=positive_definite("n"))
def cholesky_overwriting(K: Array) -> Linearization[tuple[Array, Array]]:
    r"""Cholesky factor and trace: a function in which the matrix is used twice, so that two adjoints must be added.

    $$ K = L L^\top, \quad t = \operatorname{tr} K $$
    $$ dL = L\,\Phi(L^{-1}\,dK\,L^{-\top}), \quad dt = \operatorname{tr} dK $$
    $$ \bar K = \tfrac12 L^{-\top} (\Phi(L^\top \bar L) + \Phi(L^\top \bar L)^\top)\,L^{-1} + \bar t\,I $$

    stan-dev/math #2364: the adjoint of the factorisation was not added to what other uses of the matrix had left there but put in
    its place.
    """
    L = cholesky_factor(K)

    def jvp(dK: Array) -> tuple[Array, Array]:
        return _cholesky_differential(L, dK), trace(dK)

    def vjp(L_bar: Array, t_bar: Array) -> Array:
        K_bar = t_bar * identity_like(K)
        K_bar = _cholesky_gradient(L, L_bar)
        return K_bar  # noqa: RET504  (the line that should add is the exhibit)

    return Linearization((L, trace(K)), jvp, vjp)


def _qr_gradient(Q: Array, R: Array, Q_bar: Array, R_bar: Array) -> Array:
    """The right adjoint of the thin QR factorisation."""
    M = R @ R_bar.mT - Q_bar.mT @ Q
    return solve_upper(R, (Q_bar + Q @ (tril(M, -1) + tril(M).mT)).mT).mT


@rule(issue("jax-ml/jax", 2863), A=tall("m n"))
def qr_with_a_resting_q(A: Array) -> Linearization[tuple[Array, Array]]:
    r"""Thin QR factorisation, the diagonal of R positive.

    $$ A = Q R $$
    $$ dR = (X - \Omega)\,R, \quad dQ = dA\,R^{-1} - Q\,(X - \Omega) $$
    $$ \bar A = (\bar Q + Q\,(\operatorname{tril}_{-1}(M) + \operatorname{tril}(M)^\top))\,R^{-\top} $$
    $$ X = Q^\top dA\,R^{-1}, \quad \Omega = \operatorname{tril}_{-1}(X) - \operatorname{tril}_{-1}(X)^\top, \quad
       M = R \bar R^\top - \bar Q^\top Q $$

    jax #2863: the tangent of Q was right and that of R far off; here it is the upper triangle of Qᵀ dA, as if Q did not turn.
    """
    Q, R = qr_factors(A)

    def jvp(dA: Array) -> tuple[Array, Array]:
        Y = solve_upper(R, dA.mT, transpose=True).mT
        X = Q.mT @ Y
        below = tril(X, -1)
        return Y - Q @ (X - below + below.mT), triu(Q.mT @ dA)

    def vjp(Q_bar: Array, R_bar: Array) -> Array:
        return _qr_gradient(Q, R, Q_bar, R_bar)

    return Linearization((Q, R), jvp, vjp)


@rule(issue("jax-ml/jax", 10993), A=tall("m n"))
def qr_with_two_minds(A: Array) -> Linearization[tuple[Array, Array]]:
    r"""Thin QR factorisation, the diagonal of R positive.

    $$ A = Q R $$
    $$ dR = (X - \Omega)\,R, \quad dQ = dA\,R^{-1} - Q\,(X - \Omega) $$
    $$ \bar A = (\bar Q + Q\,(\operatorname{tril}_{-1}(M) + \operatorname{tril}(M)^\top))\,R^{-\top} $$
    $$ X = Q^\top dA\,R^{-1}, \quad \Omega = \operatorname{tril}_{-1}(X) - \operatorname{tril}_{-1}(X)^\top, \quad
       M = R \bar R^\top - \bar Q^\top Q $$

    jax #10993: forward and reverse mode gave different Jacobians; here the reverse one counts the diagonal of M twice.
    """
    Q, R = qr_factors(A)

    def jvp(dA: Array) -> tuple[Array, Array]:
        Y = solve_upper(R, dA.mT, transpose=True).mT
        X = Q.mT @ Y
        below = tril(X, -1)
        upper = X - below + below.mT
        return Y - Q @ upper, upper @ R

    def vjp(Q_bar: Array, R_bar: Array) -> Array:
        M = R @ R_bar.mT - Q_bar.mT @ Q
        return solve_upper(R, (Q_bar + Q @ (tril(M) + tril(M).mT)).mT).mT

    return Linearization((Q, R), jvp, vjp)


@rule(issue("jax-ml/jax", 40141), S=simple_spectrum("n>=1"))
def eigenvectors_guarded_too_early(S: Array) -> Linearization[Array]:
    r"""Eigenvectors of a symmetric matrix with distinct eigenvalues, signs fixed by their largest entries.

    $$ S = V \operatorname{diag}(\lambda)\,V^\top $$
    $$ dV = V (F \odot (V^\top dS\,V)), \quad F_{ij} = 1 / (\lambda_j - \lambda_i), \; F_{ii} = 0 $$
    $$ \bar S = V (F \odot (V^\top \bar V))\,V^\top $$

    jax #40141: a one that keeps the diagonal of λⱼ - λᵢ from zero was added to λⱼ before λᵢ was subtracted; where eigenvalues are
    so large that the one is lost in rounding, the diagonal is 1/0.
    """
    lam, columns = eigh(S)
    V = columns * fix_signs(columns)
    guarded = (identity_like(S) + lam[None, :]) - lam[:, None]

    def jvp(dS: Array) -> Array:
        F = 1 / guarded - identity_like(S)
        return V @ (F * (V.mT @ dS @ V))

    def vjp(V_bar: Array) -> Array:
        F = 1 / guarded - identity_like(S)
        return V @ (F * (V.mT @ V_bar)) @ V.mT

    return Linearization(V, jvp, vjp)


@rule(issue("pytorch/pytorch", 49886), A=real("m n"))
def sum_of_squared_singular_values(A: Array) -> Linearization[Array]:
    r"""Sum of the squares of the singular values, which is the squared Frobenius norm.

    $$ s = \sum_i \sigma_i^2 = \|A\|_F^2, \quad A = U \operatorname{diag}(\sigma)\,V^\top $$
    $$ ds = 2 \operatorname{tr}(A^\top dA) $$
    $$ \bar A = 2 \bar s\,A $$

    pytorch #49886: the gradient went through that of U and V, which multiplies their cotangents, here zero, by
    1 / (σⱼ² - σᵢ²): not a number where a singular value is repeated, as zero is in a matrix of low rank.
    """

    def jvp(dA: Array) -> Array:
        return 2 * inner(A, dA)

    def vjp(s_bar: Array) -> Array:
        U, sigma, Vt = thin_svd(A)
        squares = sigma**2
        gaps = squares[None, :] - squares[:, None] + identity_like(squares[None, :] * squares[:, None])
        turning = zeros_like(gaps) / gaps  # cotangents of U and of V over the gaps
        return (U * (2 * s_bar * sigma)) @ Vt + U @ turning @ Vt

    return Linearization(inner(A, A), jvp, vjp)


@rule(issue("pytorch/pytorch", 194705), A=scaled(1e8, distinct_singular_values("n n")))
def nuclear_norm_of_unscaled_squares(A: Array) -> Linearization[Array]:
    r"""Nuclear norm of a large matrix with distinct singular values.

    $$ y = \sum_i \sigma_i, \quad A = U \operatorname{diag}(\sigma)\,V^\top $$
    $$ dy = \operatorname{tr}(V U^\top dA) $$
    $$ \bar A = \bar y\,U V^\top $$

    pytorch #194705: the derivative of the decomposition squares the singular values without scaling them first; the squares of large
    ones are infinite, those of small ones zero, and their differences not numbers or zero.
    """
    U, sigma, Vt = thin_svd(A)

    def jvp(dA: Array) -> Array:
        return inner(U @ Vt, dA)

    def vjp(y_bar: Array) -> Array:
        squares = sigma**2
        gaps = squares[None, :] - squares[:, None] + identity_like(A) * squares[None, :]
        turning = zeros_like(gaps) / gaps  # cotangents of U and of V over the gaps
        return (U * y_bar) @ Vt + U @ turning @ Vt

    return Linearization(total(sigma), jvp, vjp)
