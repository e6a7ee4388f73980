"""Determinants and their logarithms.

A determinant and the inverse in its gradient come from one LU factorisation. That is faster, and the rounding of the two cancels
in their product: near a singular matrix both are ill-conditioned, the gradient is not.
"""

from matcalc.array import (
    Array,
    cho_inverse,
    cho_solve,
    cholesky,
    diagonal,
    identity_like,
    inner,
    inv,
    log,
    lu_det,
    lu_factor,
    lu_solve,
    product,
    qr,
    solve_upper,
    total,
    trace,
)
from matcalc.array import log_abs_det as logarithm
from matcalc.domain import invertible, positive, positive_definite, real, tall
from matcalc.rule import Linearization, rule
from matcalc.source import COOKBOOK, GILES, MAGNUS_NEUDECKER, MINKA


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


@rule(GILES, COOKBOOK.at("(49)"), MINKA, X=invertible("n"))
def det(X: Array) -> Linearization[Array]:
    r"""Determinant of an invertible matrix, of either sign (Jacobi's formula).

    $$ f = \det X $$
    $$ df = \det(X)\operatorname{tr}(X^{-1}\,dX) $$
    $$ \bar X = \bar f\,\det(X)\,X^{-\top} $$
    """
    factors = lu_factor(X)
    f = lu_det(factors)

    def jvp(dX: Array) -> Array:
        return f * trace(lu_solve(factors, dX))

    def vjp(f_bar: Array) -> Array:
        return lu_solve(factors, (f_bar * f) * identity_like(X)).mT

    return Linearization(f, jvp, vjp)


@rule(COOKBOOK.at("(57)"), GILES, MINKA, X=invertible("n"))
def log_abs_det(X: Array) -> Linearization[Array]:
    r"""Logarithm of the absolute value of the determinant of an invertible matrix.

    $$ \ell = \log|\det X| $$
    $$ d\ell = \operatorname{tr}(X^{-1}\,dX) $$
    $$ \bar X = \bar\ell\,X^{-\top} $$
    """

    def jvp(dX: Array) -> Array:
        return inner(inv(X).mT, dX)

    def vjp(l_bar: Array) -> Array:
        return l_bar * inv(X).mT

    return Linearization(logarithm(X), jvp, vjp)


@rule(COOKBOOK.at("(55)"), MAGNUS_NEUDECKER, X=tall("m n"))
def logdet_gram(X: Array) -> Linearization[Array]:
    r"""Log-determinant of the Gram matrix of independent columns; the gradient is twice the transposed pseudo-inverse.

    $$ \ell = \log\det(X^\top X) $$
    $$ d\ell = 2 \operatorname{tr}((X^\top X)^{-1} X^\top dX) $$
    $$ \bar X = 2 \bar\ell\,X (X^\top X)^{-1} $$
    """
    L = cholesky(X.mT @ X)

    def jvp(dX: Array) -> Array:
        return 2 * trace(cho_solve(L, X.mT @ dX))

    def vjp(l_bar: Array) -> Array:
        return X @ ((2 * l_bar) * cho_inverse(L))

    return Linearization(2 * total(log(diagonal(L))), jvp, vjp)


@rule(MAGNUS_NEUDECKER, X=real("m n"))
def logdet_identity_plus_gram(X: Array) -> Linearization[Array]:
    r"""Log-determinant of the identity plus a Gram matrix, which is positive definite for every X.

    $$ \ell = \log\det(I + X^\top X) $$
    $$ d\ell = 2 \operatorname{tr}((I + X^\top X)^{-1} X^\top dX) $$
    $$ \bar X = 2 \bar\ell\,X (I + X^\top X)^{-1} $$
    """
    L = cholesky(identity_like(X) + X.mT @ X)

    def jvp(dX: Array) -> Array:
        return 2 * trace(cho_solve(L, X.mT @ dX))

    def vjp(l_bar: Array) -> Array:
        return X @ ((2 * l_bar) * cho_inverse(L))

    return Linearization(2 * total(log(diagonal(L))), jvp, vjp)


@rule(MAGNUS_NEUDECKER, s=positive("n"), U=real("n k"))
def logdet_diagonal_plus_low_rank(s: Array, U: Array) -> Linearization[Array]:
    r"""Log-determinant of a positive diagonal plus a product of low rank; only a k x k matrix is factorised.

    $$ \ell = \log\det(\operatorname{diag}(s) + U U^\top) $$
    $$ d\ell = \operatorname{tr}((\operatorname{diag}(s) + U U^\top)^{-1} (\operatorname{diag}(ds) + 2\,U\,dU^\top)) $$
    $$ \bar s = \bar\ell\,\operatorname{diag}((\operatorname{diag}(s) + U U^\top)^{-1}), \quad
       \bar U = 2 \bar\ell\,(\operatorname{diag}(s) + U U^\top)^{-1}\,U $$
    """
    scaled_U = U / s[:, None]
    L = cholesky(identity_like(U) + U.mT @ scaled_U)

    def gradient() -> tuple[Array, Array]:
        half = cho_solve(L, scaled_U.mT).mT  # the inverse times U, by the matrix inversion lemma
        return 1 / s - total(half * scaled_U, axis=1), 2 * half

    def jvp(ds: Array, dU: Array) -> Array:
        for_s, for_U = gradient()
        return inner(for_s, ds) + inner(for_U, dU)

    def vjp(l_bar: Array) -> tuple[Array, Array]:
        for_s, for_U = gradient()
        return l_bar * for_s, l_bar * for_U

    return Linearization(total(log(s)) + 2 * total(log(diagonal(L))), jvp, vjp)


@rule(COOKBOOK.at("(51)"), MAGNUS_NEUDECKER, A=invertible("n"), X=invertible("n"), B=invertible("n"))
def det_of_product(A: Array, X: Array, B: Array) -> Linearization[Array]:
    r"""Determinant of a product of invertible matrices.

    $$ f = \det(A X B) $$
    $$ df = \det(A X B)\operatorname{tr}((A X B)^{-1} (dA\,X B + A\,dX\,B + A X\,dB)) $$
    $$ \bar A = \bar f\,\det(A X B)\,(A X B)^{-\top} B^\top X^\top, \quad
       \bar X = \bar f\,\det(A X B)\,A^\top (A X B)^{-\top} B^\top, \quad
       \bar B = \bar f\,\det(A X B)\,X^\top A^\top (A X B)^{-\top} $$
    """
    AX = A @ X
    factors = lu_factor(AX @ B)
    f = lu_det(factors)

    def jvp(dA: Array, dX: Array, dB: Array) -> Array:
        return f * trace(lu_solve(factors, (dA @ X + A @ dX) @ B + AX @ dB))

    def vjp(f_bar: Array) -> tuple[Array, Array, Array]:
        M_bar = lu_solve(factors, (f_bar * f) * identity_like(X)).mT
        AX_bar = M_bar @ B.mT
        return AX_bar @ X.mT, A.mT @ AX_bar, AX.mT @ M_bar

    return Linearization(f, jvp, vjp)


@rule(COOKBOOK.at("(53)"), MAGNUS_NEUDECKER, X=tall("m n"), A=positive_definite("m"))
def det_xtax(X: Array, A: Array) -> Linearization[Array]:
    r"""Determinant of a positive definite matrix seen through independent columns.

    $$ f = \det(X^\top A X) $$
    $$ df = \det(X^\top A X)\operatorname{tr}((X^\top A X)^{-1} (2\,X^\top A\,dX + X^\top dA\,X)) $$
    $$ \bar X = 2 \bar f\,\det(X^\top A X)\,A X (X^\top A X)^{-1}, \quad
       \bar A = \bar f\,\det(X^\top A X)\,X (X^\top A X)^{-1} X^\top $$
    """
    L = cholesky(A)
    Q, R = qr(L.mT @ X)  # RᵀR = XᵀAX, whose condition number is the square of that of R
    root = product(diagonal(R))
    f = root * root
    half = L @ Q
    XR = solve_upper(R, X.mT, transpose=True).mT

    def jvp(dX: Array, dA: Array) -> Array:
        return f * (2 * trace(solve_upper(R, half.mT @ dX)) + inner(XR, dA @ XR))

    def vjp(f_bar: Array) -> tuple[Array, Array]:
        weight = f_bar * f
        return 2 * weight * solve_upper(R, half.mT).mT, weight * (XR @ XR.mT)

    return Linearization(f, jvp, vjp)
