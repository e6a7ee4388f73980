"""Factorisations: Cholesky, LU, QR, eigenvalues and eigenvectors, singular values, polar.

A factorisation is a function of the matrix only once its free choices are fixed: here the diagonals of L and R are positive, and
of each eigenvector or left singular vector the entry of largest magnitude is.
"""

from typing import Generic, NamedTuple

from matcalc.array import (
    BLOCK,
    Array,
    argsort,
    block,
    diag,
    diagonal,
    eig_real,
    fix_signs,
    flip,
    identity_like,
    inv,
    solve,
    solve_lower,
    solve_upper,
    sqrt,
    take,
    thin_svd,
    total,
    tril,
    triu,
)
from matcalc.array import cholesky as cholesky_factor
from matcalc.array import eigh as eigen_decomposition
from matcalc.array import lu as lu_factors
from matcalc.array import qr as qr_factors
from matcalc.domain import (
    contraction,
    distinct,
    distinct_singular_values,
    dominant_columns,
    invertible,
    lower_triangular,
    orthonormal,
    positive,
    positive_definite,
    real_spectrum,
    simple_spectrum,
    tall,
    upper_triangular,
)
from matcalc.rule import Linearization, built_from, rule
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


# Factors that are chosen at will, as the rules below would return them (in their order, with their signs and lengths), and what is
# built from them.


def _unit_lower_and_upper(L: Array, U: Array) -> LU[Array]:
    return LU(identity_like(L) + tril(L, -1), triu(U))


def _ascending(lam: Array, V: Array) -> Eigen[Array]:
    """Eigenvalues in order, eigenvectors of length 1 with their signs fixed."""
    return Eigen(take(lam, argsort(lam)), V * (fix_signs(V) / sqrt(total(V * V, axis=0))))


def _descending(U: Array, s: Array, V: Array) -> SVD[Array]:
    """Singular values in order, the signs of both singular vectors fixed by those of the left one."""
    signs = fix_signs(U)
    return SVD(U * signs, flip(take(s, argsort(s))), (V * signs).mT)


def similar(lam: Array, V: Array) -> Array:
    """The matrix with these eigenvalues and eigenvectors."""
    return (V * lam) @ inv(V)


def congruent(lam: Array, V: Array) -> Array:
    """The symmetric matrix with these eigenvalues and orthonormal eigenvectors."""
    return (V * lam) @ V.mT


def _from_singular(U: Array, s: Array, Vt: Array) -> Array:
    return (U * s) @ Vt


@built_from(lambda L: L @ L.mT, L=lower_triangular("n"))
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


@built_from(lambda L, U: L @ U, factors=_unit_lower_and_upper, L=contraction("n"), U=dominant_columns("n"))
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


@built_from(lambda Q, R: Q @ R, Q=orthonormal("m n"), R=upper_triangular("n"))
@rule(WALTER_LEHMANN, SEEGER, A=tall("m n"))
def qr(A: Array) -> Linearization[QR[Array]]:
    r"""Thin QR factorisation of a matrix with independent columns, the diagonal of R positive.

    Written so that the last column of a square Q, which the others determine, is not divided by the last entry of R.

    $$ A = Q R $$
    $$ dR = (X - \Omega)\,R, \quad dQ = Q\,\Omega + (I - Q Q^\top)\,dA\,R^{-1} $$
    $$ \bar A = Q\,(\operatorname{triu}(\bar R) + \operatorname{tril}_{-1}(M^\top - M)\,R^{-\top})
       + (I - Q Q^\top)\,\bar Q\,R^{-\top} $$
    $$ X = Q^\top dA\,R^{-1}, \quad \Omega = \operatorname{tril}_{-1}(X) - \operatorname{tril}_{-1}(X)^\top, \quad
       M = \operatorname{triu}(\bar R)\,R^\top - Q^\top \bar Q $$
    """
    m, n = A.shape
    Q, R = qr_factors(A)

    def jvp(dA: Array) -> QR[Array]:
        Y = solve_upper(R, dA.mT, transpose=True).mT
        X = Q.mT @ Y
        below = tril(X, -1)
        dQ = Q @ (below - below.mT)
        if m > n:  # else Q is square and has no complement
            dQ = dQ + (Y - Q @ X)
        return QR(dQ, (X - below + below.mT) @ R)

    def vjp(Q_bar: Array, R_bar: Array) -> Array:
        QQ, upper = Q.mT @ Q_bar, triu(R_bar)
        M = upper @ R.mT - QQ
        inside = upper + solve_upper(R, tril(M.mT - M, -1).mT).mT
        if m > n:
            return Q @ inside + solve_upper(R, (Q_bar - Q @ QQ).mT).mT
        return Q @ inside

    return Linearization(QR(Q, R), jvp, vjp)


@built_from(congruent, factors=_ascending, value=lambda lam, _V: lam, lam=distinct("n"), V=orthonormal("n n"))
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


@built_from(congruent, factors=_ascending, lam=distinct("n"), V=orthonormal("n n"))
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


@built_from(similar, factors=_ascending, value=lambda lam, _V: lam, lam=distinct("n"), V=invertible("n"))
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


@built_from(similar, factors=_ascending, lam=distinct("n"), V=invertible("n"))
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


@built_from(_from_singular, factors=_descending, value=lambda _U, s, _Vt: s, U=orthonormal("m n"), s=positive("n"), V=orthonormal("n n"))
@built_from(_from_singular, factors=_descending, value=lambda _U, s, _Vt: s, U=orthonormal("m m"), s=positive("m"), V=orthonormal("n m"))
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


@built_from(_from_singular, factors=_descending, U=orthonormal("m n"), s=positive("n"), V=orthonormal("n n"))
@built_from(_from_singular, factors=_descending, U=orthonormal("m m"), s=positive("m"), V=orthonormal("n m"))
@rule(TOWNSEND, GILES, SEEGER, A=distinct_singular_values("m>=1 n>=1"))
def svd(A: Array) -> Linearization[SVD[Array]]:
    r"""Thin singular value decomposition of a matrix of any shape, singular values distinct and none zero.

    $$ A = U S W $$
    $$ dU = U (F \odot (P S + S P^\top)) + (I - U U^\top)\,dA\,V S^{-1}, \quad ds = \operatorname{diag}(P), \quad
       dW = (V (F \odot (S P + P^\top S)) + (I - V V^\top)\,dA^\top U S^{-1})^\top $$
    $$ \bar A = U (\operatorname{diag}(\bar s) + (F \odot (U^\top \bar U - \bar U^\top U))\,S
       + S\,(F \odot (V^\top \bar V - \bar V^\top V)))\,V^\top
       + (I - U U^\top)\,\bar U S^{-1} V^\top + U S^{-1} \bar V^\top (I - V V^\top) $$
    $$ S = \operatorname{diag}(s), \quad V = W^\top, \quad \bar V = \bar W^\top, \quad P = U^\top dA\,V, \quad
       F_{ij} = \frac{1}{s_j^2 - s_i^2}, \quad F_{ii} = 0 $$
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


@built_from(lambda W, P: W @ P, value=lambda W, _P: W, W=orthonormal("m n"), P=positive_definite("n"))
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
