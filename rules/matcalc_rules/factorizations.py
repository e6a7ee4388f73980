"""Factorisations: Cholesky, LU, QR, eigenvalues and eigenvectors, singular values, polar.

A factorisation is a function of the matrix only once its free choices are fixed: here the diagonals of L and R are positive, and
of each eigenvector or left singular vector the entry of largest magnitude is.
"""

from typing import Generic, NamedTuple

from matcalc.array import (
    BLOCK,
    Array,
    block,
    diag,
    diagonal,
    eig_real,
    fix_signs,
    identity_like,
    solve,
    solve_lower,
    solve_upper,
    thin_svd,
    total,
    tril,
    triu,
)
from matcalc.array import cholesky as cholesky_factor
from matcalc.array import eigh as eigen_decomposition
from matcalc.array import lu as lu_factors
from matcalc.array import qr as qr_factors
from matcalc.domain import distinct_singular_values, dominant_columns, positive_definite, real_spectrum, simple_spectrum, tall
from matcalc.rule import Linearization, rule
from matcalc.source import COOKBOOK, GILES, HIGHAM, MAGNUS_NEUDECKER, MURRAY, SEEGER, TOWNSEND, WALTER_LEHMANN


class LU(NamedTuple, Generic[Array]):
    """A unit lower triangular and an upper triangular factor."""

    L: Array
    U: Array


class QR(NamedTuple, Generic[Array]):
    """Orthonormal columns and an upper triangular factor."""

    Q: Array
    R: Array


class Eigen(NamedTuple, Generic[Array]):
    """Eigenvalues in ascending order, eigenvectors as columns."""

    lam: Array
    V: Array


class SVD(NamedTuple, Generic[Array]):
    """Left singular vectors as columns, singular values in descending order, right singular vectors as rows."""

    U: Array
    s: Array
    Vt: Array


@rule(MURRAY, GILES, SEEGER, K=positive_definite("n"))
def cholesky(K: Array) -> Linearization[Array]:
    r"""Lower triangular Cholesky factor, with positive diagonal, of a positive definite matrix; the gradient is symmetric.

    $$ K = L L^\top $$
    $$ dL = L\,\Phi(L^{-1}\,dK\,L^{-\top}) $$
    $$ \bar K = \tfrac12 L^{-\top} (\Phi(L^\top \bar L) + \Phi(L^\top \bar L)^\top)\,L^{-1} $$
    $$ \Phi(X) = \operatorname{tril}(X) - \tfrac12 I \odot X $$
    """
    L = cholesky_factor(K)

    def jvp(dK: Array) -> Array:
        return L @ _half_triangle(solve_lower(L, solve_lower(L, dK).mT).mT)

    def vjp(L_bar: Array) -> Array:
        return _cholesky_adjoint(L, L_bar)

    return Linearization(L, jvp, vjp)


def _half_triangle(X: Array) -> Array:
    """The lower triangle with half of the diagonal: what Φ stands for."""
    return tril(X) - 0.5 * identity_like(X) * X


def _cholesky_adjoint(L: Array, L_bar: Array) -> Array:
    """The adjoint of the Cholesky factorisation, large ones in halves, so that most of the work is products of half size."""
    n = L.shape[-1]
    if n <= BLOCK:
        half = _half_triangle(L.mT @ L_bar)
        return solve_lower(L, solve_lower(L, 0.5 * (half + half.mT), transpose=True).mT, transpose=True)
    h = n // 2
    top, side, corner = L[:h, :h], L[h:, :h], L[h:, h:]
    corner_bar = _cholesky_adjoint(corner, L_bar[h:, h:])
    side_bar = solve_lower(top, (L_bar[h:, :h] - 2 * (corner_bar @ side)).mT, transpose=True)  # transposed
    top_bar = _cholesky_adjoint(top, L_bar[:h, :h] - side_bar @ side)
    return block([[top_bar, 0.5 * side_bar], [0.5 * side_bar.mT, corner_bar]])


@rule(WALTER_LEHMANN, A=dominant_columns("n"))
def lu(A: Array) -> Linearization[LU[Array]]:
    r"""LU factorisation without pivoting, L with unit diagonal; it exists where the columns are diagonally dominant.

    $$ A = L U $$
    $$ dL = L \operatorname{tril}_{-1}(L^{-1}\,dA\,U^{-1}), \quad dU = \operatorname{triu}(L^{-1}\,dA\,U^{-1})\,U $$
    $$ \bar A = L^{-\top} (\operatorname{tril}_{-1}(L^\top \bar L) + \operatorname{triu}(\bar U U^\top))\,U^{-\top} $$
    """
    L, U = lu_factors(A)

    def jvp(dA: Array) -> LU[Array]:
        X = solve_upper(U, solve_lower(L, dA, unit=True).mT, transpose=True).mT
        return LU(L @ tril(X, -1), triu(X) @ U)

    def vjp(L_bar: Array, U_bar: Array) -> Array:
        X = tril(L.mT @ L_bar, -1) + triu(U_bar @ U.mT)
        return solve_upper(U, solve_lower(L, X, transpose=True, unit=True).mT).mT

    return Linearization(LU(L, U), jvp, vjp)


@rule(WALTER_LEHMANN, SEEGER, A=tall("m n"))
def qr(A: Array) -> Linearization[QR[Array]]:
    r"""Thin QR factorisation of a matrix with independent columns, the diagonal of R positive.

    $$ A = Q R $$
    $$ dR = (X - \Omega)\,R, \quad dQ = dA\,R^{-1} - Q\,(X - \Omega) $$
    $$ \bar A = (\bar Q + Q\,(\operatorname{tril}_{-1}(M) + \operatorname{tril}(M)^\top))\,R^{-\top} $$
    $$ X = Q^\top dA\,R^{-1}, \quad \Omega = \operatorname{tril}_{-1}(X) - \operatorname{tril}_{-1}(X)^\top, \quad
       M = R \bar R^\top - \bar Q^\top Q $$
    """
    Q, R = qr_factors(A)

    def jvp(dA: Array) -> QR[Array]:
        Y = solve_upper(R, dA.mT, transpose=True).mT
        X = Q.mT @ Y
        below = tril(X, -1)
        upper = X - below + below.mT
        return QR(Y - Q @ upper, upper @ R)

    def vjp(Q_bar: Array, R_bar: Array) -> Array:
        M = R @ R_bar.mT - Q_bar.mT @ Q
        return solve_upper(R, (Q_bar + Q @ (tril(M, -1) + tril(M).mT)).mT).mT

    return Linearization(QR(Q, R), jvp, vjp)


@rule(COOKBOOK.at("(67)"), MAGNUS_NEUDECKER, GILES, S=simple_spectrum("n>=1"))
def eigenvalues_symmetric(S: Array) -> Linearization[Array]:
    r"""Eigenvalues, ascending, of a symmetric matrix that has no two equal ones.

    $$ S = V \operatorname{diag}(\lambda) V^\top $$
    $$ d\lambda = \operatorname{diag}(V^\top dS\,V) $$
    $$ \bar S = V \operatorname{diag}(\bar\lambda) V^\top $$
    """
    lam, V = eigen_decomposition(S)

    def jvp(dS: Array) -> Array:
        return total(V * (dS @ V), axis=0)

    def vjp(lam_bar: Array) -> Array:
        return (V * lam_bar) @ V.mT

    return Linearization(lam, jvp, vjp)


@rule(GILES, COOKBOOK.at("(67)"), COOKBOOK.at("(68)"), SEEGER, S=simple_spectrum("n>=1"))
def eigh(S: Array) -> Linearization[Eigen[Array]]:
    r"""Eigenvalues and orthonormal eigenvectors of a symmetric matrix without equal eigenvalues.

    $$ S = V \operatorname{diag}(\lambda) V^\top $$
    $$ d\lambda = \operatorname{diag}(V^\top dS\,V), \quad dV = V (F \odot (V^\top dS\,V)) $$
    $$ \bar S = V (\operatorname{diag}(\bar\lambda) + F \odot (V^\top \bar V))\,V^\top $$
    $$ F_{ij} = \frac{1}{\lambda_j - \lambda_i}, \quad F_{ii} = 0 $$
    """
    lam, any_signs = eigen_decomposition(S)
    V = any_signs * fix_signs(any_signs)

    def jvp(dS: Array) -> Eigen[Array]:
        X = V.mT @ dS @ V
        return Eigen(diagonal(X), V @ (_inverse_gaps(lam) * X))

    def vjp(lam_bar: Array, V_bar: Array) -> Array:
        return V @ (diag(lam_bar) + _inverse_gaps(lam) * (V.mT @ V_bar)) @ V.mT

    return Linearization(Eigen(lam, V), jvp, vjp)


def _inverse_gaps(x: Array) -> Array:
    """1 / (x_j - x_i), zeros on the diagonal."""
    identity = diag(x * 0 + 1)
    return (1 - identity) / (x - x[:, None] + identity)


@rule(GILES, MAGNUS_NEUDECKER, A=real_spectrum("n>=1"))
def eigenvalues_real(A: Array) -> Linearization[Array]:
    r"""Eigenvalues, ascending, of a matrix that need not be symmetric but has them real and no two equal.

    $$ A = V \operatorname{diag}(\lambda) V^{-1} $$
    $$ d\lambda = \operatorname{diag}(V^{-1}\,dA\,V) $$
    $$ \bar A = V^{-\top} \operatorname{diag}(\bar\lambda) V^\top $$
    """
    lam, V = eig_real(A)

    def jvp(dA: Array) -> Array:
        return diagonal(solve(V, dA @ V))

    def vjp(lam_bar: Array) -> Array:
        return solve(V.mT, lam_bar[:, None] * V.mT)

    return Linearization(lam, jvp, vjp)


@rule(GILES, MAGNUS_NEUDECKER, A=real_spectrum("n>=1"))
def eig(A: Array) -> Linearization[Eigen[Array]]:
    r"""Eigenvalues and eigenvectors of length 1 of a matrix that has its eigenvalues real and no two equal.

    The terms with the diagonal of V^T X and of V^T V-bar keep the length of each eigenvector; they are absent from the formula
    for eigenvectors of free length.

    $$ A = V \operatorname{diag}(\lambda) V^{-1} $$
    $$ d\lambda = \operatorname{diag}(V^{-1}\,dA\,V), \quad dV = X - V (I \odot (V^\top X)) $$
    $$ \bar A = V^{-\top} (\operatorname{diag}(\bar\lambda) + F \odot (V^\top \bar V - V^\top V (I \odot (V^\top \bar V))))\,V^\top $$
    $$ X = V (F \odot (V^{-1}\,dA\,V)), \quad F_{ij} = \frac{1}{\lambda_j - \lambda_i}, \quad F_{ii} = 0 $$
    """
    lam, V = eig_real(A)

    def at_fixed_length(X: Array) -> Array:
        return X - V * total(V * X, axis=0)

    def jvp(dA: Array) -> Eigen[Array]:
        Y = solve(V, dA @ V)
        return Eigen(diagonal(Y), at_fixed_length(V @ (_inverse_gaps(lam) * Y)))

    def vjp(lam_bar: Array, V_bar: Array) -> Array:
        inside = diag(lam_bar) + _inverse_gaps(lam) * (V.mT @ at_fixed_length(V_bar))
        return solve(V.mT, inside @ V.mT)

    return Linearization(Eigen(lam, V), jvp, vjp)


@rule(GILES, TOWNSEND, A=distinct_singular_values("m>=1 n>=1"))
def singular_values(A: Array) -> Linearization[Array]:
    r"""Singular values, descending, of a matrix of any shape that has them distinct and none zero.

    $$ A = U \operatorname{diag}(s) V^\top $$
    $$ ds = \operatorname{diag}(U^\top dA\,V) $$
    $$ \bar A = U \operatorname{diag}(\bar s) V^\top $$
    """
    U, s, Vt = thin_svd(A)

    def jvp(dA: Array) -> Array:
        return total(U * (dA @ Vt.mT), axis=0)

    def vjp(s_bar: Array) -> Array:
        return (U * s_bar) @ Vt

    return Linearization(s, jvp, vjp)


@rule(TOWNSEND, GILES, SEEGER, A=distinct_singular_values("m>=1 n>=1"))
def svd(A: Array) -> Linearization[SVD[Array]]:
    r"""Thin singular value decomposition of a matrix of any shape, singular values distinct and none zero.

    $$ A = U S V^\top $$
    $$ dU = U (F \odot (P S + S P^\top)) + (I - U U^\top)\,dA\,V S^{-1}, \quad ds = \operatorname{diag}(P), \quad
       dV = V (F \odot (S P + P^\top S)) + (I - V V^\top)\,dA^\top U S^{-1} $$
    $$ \bar A = U (\operatorname{diag}(\bar s) + (F \odot (U^\top \bar U - \bar U^\top U))\,S
       + S\,(F \odot (V^\top \bar V - \bar V^\top V)))\,V^\top
       + (I - U U^\top)\,\bar U S^{-1} V^\top + U S^{-1} \bar V^\top (I - V V^\top) $$
    $$ S = \operatorname{diag}(s), \quad P = U^\top dA\,V, \quad F_{ij} = \frac{1}{s_j^2 - s_i^2}, \quad F_{ii} = 0 $$
    """
    m, n = A.shape
    left, s, right = thin_svd(A)
    signs = fix_signs(left)
    U, V = left * signs, right.mT * signs

    def jvp(dA: Array) -> SVD[Array]:
        dAV, dAU = dA @ V, dA.mT @ U
        P = U.mT @ dAV
        F = _inverse_gaps(s * s)
        dU = U @ (F * (P * s + s[:, None] * P.mT))
        dV = V @ (F * (s[:, None] * P + P.mT * s))
        if m > n:  # else U is square and has no complement
            dU = dU + (dAV - U @ P) / s
        if n > m:
            dV = dV + (dAU - V @ P.mT) / s
        return SVD(dU, diagonal(P), dV.mT)

    def vjp(U_bar: Array, s_bar: Array, Vt_bar: Array) -> Array:
        V_bar = Vt_bar.mT
        UU, VV = U.mT @ U_bar, V.mT @ V_bar
        F = _inverse_gaps(s * s)
        rotated = U @ (diag(s_bar) + (F * (UU - UU.mT)) * s + s[:, None] * (F * (VV - VV.mT)))
        if m > n:
            rotated = rotated + (U_bar - U @ UU) / s
        A_bar = rotated @ V.mT
        return A_bar + (U / s) @ (V_bar - V @ VV).mT if n > m else A_bar

    return Linearization(SVD(U, s, V.mT), jvp, vjp)


@rule(HIGHAM, A=tall("m n>=1"))
def polar_factor(A: Array) -> Linearization[Array]:
    r"""Orthonormal polar factor: the matrix with orthonormal columns nearest to A; the map dA to dW is its own adjoint.

    $$ W = U V^\top $$
    $$ dW = U (F \odot (U^\top dA\,V - V^\top dA^\top U))\,V^\top + (I - U U^\top)\,dA\,V \operatorname{diag}(s)^{-1} V^\top $$
    $$ \bar A = U (F \odot (U^\top \bar W V - V^\top \bar W^\top U))\,V^\top
       + (I - U U^\top)\,\bar W V \operatorname{diag}(s)^{-1} V^\top $$
    $$ A = U \operatorname{diag}(s) V^\top, \quad F_{ij} = \frac{1}{s_i + s_j} $$
    """
    U, s, Vt = thin_svd(A)

    def self_adjoint(E: Array) -> Array:
        EV = E @ Vt.mT
        P = U.mT @ EV
        left = U @ ((P - P.mT) / (s[:, None] + s))
        if U.shape[0] > U.shape[1]:  # else U is square and has no complement
            left = left + (EV - U @ P) / s
        return left @ Vt

    def jvp(dA: Array) -> Array:
        return self_adjoint(dA)

    def vjp(W_bar: Array) -> Array:
        return self_adjoint(W_bar)

    return Linearization(U @ Vt, jvp, vjp)
