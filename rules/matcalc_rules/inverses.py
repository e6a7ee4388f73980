"""Inverses, linear systems, least squares, and what is built from them."""

from matcalc.array import (
    Array,
    cho_solve,
    cholesky,
    eigh,
    identity_like,
    inner,
    inv,
    lu_factor,
    lu_solve,
    outer,
    qr,
    solve_lower,
    solve_upper,
    total,
    trace,
    tril,
)
from matcalc.domain import (
    contraction,
    interval,
    invertible,
    lower_triangular,
    orthonormal,
    positive,
    positive_definite,
    real,
    tall,
    upper_triangular,
)
from matcalc.rule import Linearization, built_from, rule
from matcalc.source import COOKBOOK, GILES, GOLUB_VAN_LOAN, HIGHAM, MAGNUS_NEUDECKER, MINKA, NOTES, SEEGER


@built_from(
    lambda U, s, V: (U * s) @ V.mT,
    value=lambda U, s, V: (V / s) @ U.mT,
    U=orthonormal("n n"),
    s=positive("n"),
    V=orthonormal("n n"),
)
@rule(GILES, COOKBOOK.at("(59)"), COOKBOOK.at("(60)"), X=invertible("n"))
def inverse(X: Array) -> Linearization[Array]:
    r"""Inverse of an invertible matrix.

    $$ Z = X^{-1} $$
    $$ dZ = -X^{-1}\,dX\,X^{-1} $$
    $$ \bar X = -X^{-\top} \bar Z X^{-\top} $$
    """
    Z = inv(X)

    def jvp(dX: Array) -> Array:
        return -(Z @ dX @ Z)

    def vjp(Z_bar: Array) -> Array:
        return -(Z.mT @ Z_bar @ Z.mT)

    return Linearization(Z, jvp, vjp)


@built_from(lambda A, X: (A, A @ X), value=lambda _A, X: X, A=invertible("n"), X=real("n p"))
@rule(GILES, A=invertible("n"), B=real("n p"))
def linear_solve(A: Array, B: Array) -> Linearization[Array]:
    r"""Solution of a system of linear equations, from one LU factorisation.

    $$ X = A^{-1} B $$
    $$ dX = A^{-1} (dB - dA\,A^{-1} B) $$
    $$ \bar A = -A^{-\top} \bar X B^\top A^{-\top}, \quad \bar B = A^{-\top} \bar X $$
    """
    factors = lu_factor(A)
    X = lu_solve(factors, B)

    def jvp(dA: Array, dB: Array) -> Array:
        return lu_solve(factors, dB - dA @ X)

    def vjp(X_bar: Array) -> tuple[Array, Array]:
        B_bar = lu_solve(factors, X_bar, transpose=True)
        return -(B_bar @ X.mT), B_bar

    return Linearization(X, jvp, vjp)


@built_from(lambda K, X: (K, K @ X), value=lambda _K, X: X, K=positive_definite("n"), X=real("n p"))
@rule(GILES, SEEGER, K=positive_definite("n"), B=real("n p"))
def spd_solve(K: Array, B: Array) -> Linearization[Array]:
    r"""Solution of a system whose matrix is positive definite, from one Cholesky factorisation.

    $$ X = K^{-1} B $$
    $$ dX = K^{-1} (dB - dK\,K^{-1} B) $$
    $$ \bar K = -K^{-1} \bar X B^\top K^{-1}, \quad \bar B = K^{-1} \bar X $$
    """
    L = cholesky(K)
    X = cho_solve(L, B)

    def jvp(dK: Array, dB: Array) -> Array:
        return cho_solve(L, dB - dK @ X)

    def vjp(X_bar: Array) -> tuple[Array, Array]:
        B_bar = cho_solve(L, X_bar)
        return -(B_bar @ X.mT), B_bar

    return Linearization(X, jvp, vjp)


@built_from(lambda L, X: (L, L @ X), value=lambda _L, X: X, L=lower_triangular("n"), X=real("n p"))
@rule(SEEGER, L=lower_triangular("n"), B=real("n p"))
def triangular_solve(L: Array, B: Array) -> Linearization[Array]:
    r"""Solution of a lower triangular system; only the lower triangle is read, and only it receives a gradient.

    $$ X = L^{-1} B $$
    $$ dX = L^{-1} (dB - dL\,L^{-1} B) $$
    $$ \bar L = -\operatorname{tril}(L^{-\top} \bar X B^\top L^{-\top}), \quad \bar B = L^{-\top} \bar X $$
    """
    X = solve_lower(L, B)

    def jvp(dL: Array, dB: Array) -> Array:
        return solve_lower(L, dB - dL @ X)

    def vjp(X_bar: Array) -> tuple[Array, Array]:
        B_bar = solve_lower(L, X_bar, transpose=True)
        return -tril(B_bar @ X.mT), B_bar

    return Linearization(X, jvp, vjp)


@built_from(lambda W, P: (P @ W, P), value=lambda W, P: W.mT @ P @ W, W=real("n p"), P=positive_definite("n"))
@rule(GILES, NOTES.at("N4.8"), A=real("n p"), P=positive_definite("n"))
def inverse_quadratic(A: Array, P: Array) -> Linearization[Array]:
    r"""Quadratic form of the inverse of a positive definite matrix, from one Cholesky factorisation; its gradient is symmetric.

    $$ C = A^\top P^{-1} A $$
    $$ dC = dA^\top P^{-1} A + A^\top P^{-1}\,dA - A^\top P^{-1}\,dP\,P^{-1} A $$
    $$ \bar A = P^{-1} A\,(\bar C + \bar C^\top), \quad \bar P = -\tfrac12 P^{-1} A\,(\bar C + \bar C^\top)\,A^\top P^{-1} $$
    """
    L = cholesky(P)
    W = cho_solve(L, A)

    def jvp(dA: Array, dP: Array) -> Array:
        half = dA.mT @ W
        return half + half.mT - W.mT @ dP @ W

    def vjp(C_bar: Array) -> tuple[Array, Array]:
        A_bar = W @ (C_bar + C_bar.mT)
        return A_bar, -0.5 * (A_bar @ W.mT)

    return Linearization(A.mT @ W, jvp, vjp)


@built_from(lambda W, P: (P @ W, P), value=lambda W, P: (P @ W).mT @ W, W=real("n p"), P=invertible("n"))
@rule(GILES, NOTES.at("N4.8"), A=real("n p"), P=invertible("n"))
def inverse_quadratic_general(A: Array, P: Array) -> Linearization[Array]:
    r"""Quadratic form of the inverse of any invertible matrix, symmetric or not.

    $$ C = A^\top P^{-1} A $$
    $$ dC = dA^\top P^{-1} A + A^\top P^{-1}\,dA - A^\top P^{-1}\,dP\,P^{-1} A $$
    $$ \bar A = P^{-\top} A\,\bar C + P^{-1} A\,\bar C^\top, \quad \bar P = -P^{-\top} A\,\bar C\,A^\top P^{-\top} $$
    """
    factors = lu_factor(P)
    W = lu_solve(factors, A)

    def jvp(dA: Array, dP: Array) -> Array:
        return dA.mT @ W + A.mT @ lu_solve(factors, dA - dP @ W)

    def vjp(C_bar: Array) -> tuple[Array, Array]:
        VC = lu_solve(factors, A, transpose=True) @ C_bar
        return VC + W @ C_bar.mT, -(VC @ W.mT)

    return Linearization(A.mT @ W, jvp, vjp)


@built_from(lambda W, P: (P @ W, P), value=lambda W, P: inner(P @ W, W), W=real("n p"), P=positive_definite("n"))
@rule(COOKBOOK.at("(63)"), COOKBOOK.at("(124)"), NOTES.at("N4.8"), A=real("n p"), P=positive_definite("n"))
def trace_inverse_quadratic(A: Array, P: Array) -> Linearization[Array]:
    r"""Sum of the quadratic forms of the columns of A in the inverse of a positive definite matrix.

    $$ f = \operatorname{tr}(A^\top P^{-1} A) $$
    $$ df = 2 \operatorname{tr}(A^\top P^{-1}\,dA) - \operatorname{tr}(A^\top P^{-1}\,dP\,P^{-1} A) $$
    $$ \bar A = 2 \bar f\,P^{-1} A, \quad \bar P = -\bar f\,P^{-1} A A^\top P^{-1} $$
    """
    L = cholesky(P)
    W = cho_solve(L, A)

    def jvp(dA: Array, dP: Array) -> Array:
        return inner(W, 2 * dA - dP @ W)

    def vjp(f_bar: Array) -> tuple[Array, Array]:
        A_bar = 2 * f_bar * W
        return A_bar, -0.5 * (A_bar @ W.mT)

    return Linearization(inner(A, W), jvp, vjp)


@built_from(lambda W, P: (P @ W, P), value=lambda W, P: inner(P @ W, W), W=real("n p"), P=invertible("n"))
@rule(COOKBOOK.at("(63)"), COOKBOOK.at("(124)"), NOTES.at("N4.8"), A=real("n p"), P=invertible("n"))
def trace_inverse_quadratic_general(A: Array, P: Array) -> Linearization[Array]:
    r"""Sum of the quadratic forms of the columns of A in the inverse of any invertible matrix.

    $$ f = \operatorname{tr}(A^\top P^{-1} A) $$
    $$ df = \operatorname{tr}(A^\top (P^{-1} + P^{-\top})\,dA) - \operatorname{tr}(A^\top P^{-1}\,dP\,P^{-1} A) $$
    $$ \bar A = \bar f\,(P^{-1} A + P^{-\top} A), \quad \bar P = -\bar f\,P^{-\top} A A^\top P^{-\top} $$
    """
    factors = lu_factor(P)
    W = lu_solve(factors, A)

    def jvp(dA: Array, dP: Array) -> Array:
        return inner(dA, W) + inner(A, lu_solve(factors, dA - dP @ W))

    def vjp(f_bar: Array) -> tuple[Array, Array]:
        V = f_bar * lu_solve(factors, A, transpose=True)
        return f_bar * W + V, -(V @ W.mT)

    return Linearization(inner(A, W), jvp, vjp)


@built_from(lambda a, X, x: (a, X, X @ x), value=lambda a, _X, x: total(a * x), a=real("n"), X=invertible("n"), x=real("n"))
@rule(COOKBOOK.at("(61)"), MINKA, a=real("n"), X=invertible("n"), b=real("n"))
def inverse_bilinear_form(a: Array, X: Array, b: Array) -> Linearization[Array]:
    r"""Bilinear form of the inverse of an invertible matrix.

    $$ f = a^\top X^{-1} b $$
    $$ df = da^\top X^{-1} b - a^\top X^{-1}\,dX\,X^{-1} b + a^\top X^{-1}\,db $$
    $$ \bar a = \bar f\,X^{-1} b, \quad \bar X = -\bar f\,X^{-\top} a\,b^\top X^{-\top}, \quad \bar b = \bar f\,X^{-\top} a $$
    """
    factors = lu_factor(X)
    x = lu_solve(factors, b)

    def jvp(da: Array, dX: Array, db: Array) -> Array:
        return inner(da, x) + inner(a, lu_solve(factors, db - dX @ x))

    def vjp(f_bar: Array) -> tuple[Array, Array, Array]:
        b_bar = f_bar * lu_solve(factors, a, transpose=True)
        return f_bar * x, outer(-b_bar, x), b_bar

    return Linearization(inner(a, x), jvp, vjp)


@built_from(
    lambda U, s, V: (U * s) @ V.mT,
    value=lambda U, s, V: (V / s) @ U.mT,
    U=orthonormal("m n"),
    s=positive("n"),
    V=orthonormal("n n"),
)
@rule(MAGNUS_NEUDECKER, A=tall("m n"))
def pseudo_inverse(A: Array) -> Linearization[Array]:
    r"""Pseudo-inverse of a matrix with independent columns, from one QR factorisation.

    $$ Z = (A^\top A)^{-1} A^\top $$
    $$ dZ = -Z\,dA\,Z + Z Z^\top dA^\top (I - A Z) $$
    $$ \bar A = -Z^\top \bar Z Z^\top + (I - A Z)\,\bar Z^\top Z Z^\top $$
    """
    Q, R = qr(A)
    Z = solve_upper(R, Q.mT)

    def jvp(dA: Array) -> Array:
        residual = dA - Q @ (Q.mT @ dA)
        return solve_upper(R, solve_upper(R, residual.mT, transpose=True)) - Z @ dA @ Z

    def vjp(Z_bar: Array) -> Array:
        half = solve_upper(R, Z_bar, transpose=True)
        inside = half @ Q
        return solve_upper(R, half - (inside + inside.mT) @ Q.mT).mT

    return Linearization(Z, jvp, vjp)


@built_from(
    lambda Q, R, X, E: (Q @ R, Q @ R @ X + E - Q @ (Q.mT @ E)),
    value=lambda _Q, _R, X, _E: X,
    Q=orthonormal("m n"),
    R=upper_triangular("n"),
    X=real("n p"),
    E=real("m p"),
)
@rule(GOLUB_VAN_LOAN, MAGNUS_NEUDECKER, A=tall("m n"), B=real("m p"))
def least_squares_solution(A: Array, B: Array) -> Linearization[Array]:
    r"""The X that makes the sum of squares of A X - B least, A with independent columns, from one QR factorisation.

    $$ X = (A^\top A)^{-1} A^\top B $$
    $$ dX = (A^\top A)^{-1} (dA^\top (B - A X) + A^\top (dB - dA\,X)) $$
    $$ \bar A = (B - A X)\,\bar X^\top (A^\top A)^{-1} - A (A^\top A)^{-1} \bar X X^\top, \quad
       \bar B = A (A^\top A)^{-1} \bar X $$
    """
    Q, R = qr(A)
    X = solve_upper(R, Q.mT @ B)

    def jvp(dA: Array, dB: Array) -> Array:
        pulled = solve_upper(R, dA.mT @ (B - A @ X), transpose=True)
        return solve_upper(R, pulled + Q.mT @ (dB - dA @ X))

    def vjp(X_bar: Array) -> tuple[Array, Array]:
        half = solve_upper(R, X_bar, transpose=True)
        B_bar = Q @ half
        return (B - A @ X) @ solve_upper(R, half).mT - B_bar @ X.mT, B_bar

    return Linearization(X, jvp, vjp)


@rule(HIGHAM, s=interval(1, 3), A=contraction("n"))
def resolvent(s: Array, A: Array) -> Linearization[Array]:
    r"""Resolvent of a matrix at a number outside its spectrum.

    $$ R = (s I - A)^{-1} $$
    $$ dR = R\,(dA - ds\,I)\,R $$
    $$ \bar s = -\operatorname{tr}(R^\top \bar R R^\top), \quad \bar A = R^\top \bar R R^\top $$
    """
    identity = identity_like(A)
    R = inv(s * identity - A)

    def jvp(ds: Array, dA: Array) -> Array:
        return R @ (dA - ds * identity) @ R

    def vjp(R_bar: Array) -> tuple[Array, Array]:
        A_bar = R.mT @ R_bar @ R.mT
        return -trace(A_bar), A_bar

    return Linearization(R, jvp, vjp)


@built_from(
    lambda A, W, C, D: (A, A @ W, C, D),
    value=lambda _A, W, C, D: D - C @ W,
    A=invertible("n"),
    W=real("n q"),
    C=real("p n"),
    D=real("p q"),
)
@rule(MAGNUS_NEUDECKER, A=invertible("n"), B=real("n q"), C=real("p n"), D=real("p q"))
def schur_complement(A: Array, B: Array, C: Array, D: Array) -> Linearization[Array]:
    r"""Schur complement of an invertible block.

    $$ S = D - C A^{-1} B $$
    $$ dS = dD - dC\,A^{-1} B + C A^{-1}\,dA\,A^{-1} B - C A^{-1}\,dB $$
    $$ \bar A = A^{-\top} C^\top \bar S B^\top A^{-\top}, \quad \bar B = -A^{-\top} C^\top \bar S, \quad
       \bar C = -\bar S B^\top A^{-\top}, \quad \bar D = \bar S $$
    """
    factors = lu_factor(A)
    W = lu_solve(factors, B)

    def jvp(dA: Array, dB: Array, dC: Array, dD: Array) -> Array:
        return dD - dC @ W - C @ lu_solve(factors, dB - dA @ W)

    def vjp(S_bar: Array) -> tuple[Array, Array, Array, Array]:
        B_bar = -lu_solve(factors, C.mT @ S_bar, transpose=True)
        return -(B_bar @ W.mT), B_bar, -(S_bar @ W.mT), S_bar

    return Linearization(D - C @ W, jvp, vjp)


@built_from(
    lambda A, B, X: (A, B, A @ X + X @ B),
    value=lambda _A, _B, X: X,
    A=positive_definite("n"),
    B=positive_definite("p"),
    X=real("n p"),
)
@rule(GOLUB_VAN_LOAN, HIGHAM, A=positive_definite("n"), B=positive_definite("p"), C=real("n p"))
def sylvester_solve(A: Array, B: Array, C: Array) -> Linearization[Array]:
    r"""Solution of a Sylvester equation with positive definite A and B, in the bases of their eigenvectors.

    $$ A X + X B = C $$
    $$ A\,dX + dX\,B = dC - dA\,X - X\,dB $$
    $$ A \bar C + \bar C B = \bar X, \quad \bar A = -\bar C X^\top, \quad \bar B = -X^\top \bar C $$
    """
    a, U = eigh(A)
    b, V = eigh(B)

    def solved(right: Array) -> Array:
        return U @ ((U.mT @ right @ V) / (a[:, None] + b)) @ V.mT

    X = solved(C)

    def jvp(dA: Array, dB: Array, dC: Array) -> Array:
        return solved(dC - dA @ X - X @ dB)

    def vjp(X_bar: Array) -> tuple[Array, Array, Array]:
        C_bar = solved(X_bar)
        return -(C_bar @ X.mT), -(X.mT @ C_bar), C_bar

    return Linearization(X, jvp, vjp)
