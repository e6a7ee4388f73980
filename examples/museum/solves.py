"""Wrong derivatives of inverses and of solutions of linear systems.

The right ones: `inverse`, `linear_solve`, `least_squares_solution` of the catalogue.
"""

from issues import issue

from matcalc.array import Array, cho_inverse, cholesky, diag, diagonal, inv, inv_lower, solve, tril
from matcalc.domain import held, invertible, lower_triangular, positive_definite, real, tall
from matcalc.rule import Linearization, rule


@rule(issue("pytorch/pytorch.github.io", 2135), X=invertible("n"))
def inverse_without_transposes(X: Array) -> Linearization[Array]:
    r"""Inverse of a matrix.

    $$ Y = X^{-1} $$
    $$ dY = -Y\,dX\,Y $$
    $$ \bar X = -Y^\top \bar Y\,Y^\top $$

    pytorch.github.io #2135: a blog post on how to write the gradient left its factors untransposed, by a word that transposes in one
    library and does nothing in the other; the matrix of its example was symmetric.
    """
    Y = inv(X)

    def jvp(dX: Array) -> Array:
        return -Y @ dX @ Y

    def vjp(Y_bar: Array) -> Array:
        return -Y @ (Y_bar @ Y)

    return Linearization(Y, jvp, vjp)


@rule(issue("pytorch/pytorch", 196682), L=lower_triangular("n"))
def cholesky_inverse(L: Array) -> Linearization[Array]:
    r"""Inverse of the matrix whose Cholesky factor is given.

    $$ X = (L L^\top)^{-1} $$
    $$ dX = -X (dL\,L^\top + L\,dL^\top)\,X $$
    $$ \bar L = -\operatorname{tril}(X (\bar X + \bar X^\top)\,L^{-\top}) $$

    pytorch #196682: two factors of the differential were written in the wrong order, X dL X Lᵀ in the place of X dL Lᵀ X; they
    commute near the identity, from where the samples of its tests were taken.
    """
    X = cho_inverse(L)

    def jvp(dL: Array) -> Array:
        half = X @ tril(dL) @ X @ tril(L).mT
        return -half - half.mT

    def vjp(X_bar: Array) -> Array:
        return -tril(X @ (X_bar + X_bar.mT) @ inv_lower(L).mT)

    return Linearization(X, jvp, vjp)


@rule(issue("pytorch/pytorch", 89761), A=invertible("n"), B=real("n p"))
def solve_that_guesses(A: Array, B: Array) -> Linearization[Array]:
    r"""Solution of a linear system with several right-hand sides.

    $$ A X = B $$
    $$ dX = A^{-1} (dB - dA\,X) $$
    $$ \bar B = A^{-\top} \bar X, \quad \bar A = -\bar B\,X^\top $$

    pytorch #89761: whether the right-hand side is a vector was guessed from its shape, wrongly where everything has size 1, so that
    a gradient came back with an axis less.
    """
    X = solve(A, B)

    def jvp(dA: Array, dB: Array) -> Array:
        return solve(A, dB - dA @ X)

    def vjp(X_bar: Array) -> tuple[Array, Array]:
        B_bar = solve(A.mT, X_bar)
        a_vector = A.shape[-1] == B.shape[-1] == 1
        return -B_bar @ X.mT, B_bar[:, 0] if a_vector else B_bar

    return Linearization(X, jvp, vjp)


@rule(issue("pytorch/pytorch", 93982), A=tall("m n"), b=real("m"))
def least_squares_of_a_vector(A: Array, b: Array) -> Linearization[Array]:
    r"""Least-squares solution for one right-hand side.

    $$ x = (A^\top A)^{-1} A^\top b $$
    $$ dx = (A^\top A)^{-1} (dA^\top r + A^\top (db - dA\,x)), \quad r = b - A x $$
    $$ \bar b = A\,g, \quad \bar A = r\,g^\top - A\,g\,x^\top, \quad g = (A^\top A)^{-1} \bar x $$

    pytorch #93982: the forward derivative took the vector for a matrix, so that its products had factors that do not fit.
    """
    P = inv(A.mT @ A)
    x = P @ (A.mT @ b)
    r = b - A @ x

    def jvp(dA: Array, db: Array) -> Array:
        return P @ (dA.mT @ r[None, :] + A.mT @ (db - dA @ x)[None, :])

    def vjp(x_bar: Array) -> tuple[Array, Array]:
        g = P @ x_bar
        return r[:, None] * g[None, :] - (A @ g)[:, None] * x[None, :], A @ g

    return Linearization(x, jvp, vjp)


@rule(issue("FluxML/Zygote.jl", 222), A=tall("m n"), b=real("m"))
def least_squares_as_if_square(A: Array, b: Array) -> Linearization[Array]:
    r"""Least-squares solution for one right-hand side.

    $$ x = (A^\top A)^{-1} A^\top b $$
    $$ dx = (A^\top A)^{-1} (dA^\top r + A^\top (db - dA\,x)), \quad r = b - A x $$
    $$ \bar b = A\,g, \quad \bar A = r\,g^\top - A\,g\,x^\top, \quad g = (A^\top A)^{-1} \bar x $$

    Zygote #222: the gradient of A \ b was that of a square system for every shape: without the term of the residual.
    """
    P = inv(A.mT @ A)
    x = P @ (A.mT @ b)
    r = b - A @ x

    def jvp(dA: Array, db: Array) -> Array:
        return P @ (dA.mT @ r + A.mT @ (db - dA @ x))

    def vjp(x_bar: Array) -> tuple[Array, Array]:
        b_bar = A @ (P @ x_bar)
        return -b_bar[:, None] * x[None, :], b_bar

    return Linearization(x, jvp, vjp)


@rule(issue("pytorch/pytorch", 196695), A=invertible("n"), B=held(real("p n")), E=held(real("n n")))
def derivative_of_right_solve(A: Array, B: Array, E: Array) -> Linearization[Array]:
    r"""The derivative along E of the solution of X A = B, as a function of A: its derivative is the second one of the solution.

    $$ W = -X E A^{-1}, \quad X A = B $$
    $$ dW = -(dX\,E + W\,dA)\,A^{-1}, \quad dX = -X\,dA\,A^{-1} $$
    $$ \bar A = -W^\top \bar W A^{-\top} + X^\top \bar W A^{-\top} E^\top A^{-\top} $$

    pytorch #196695: forward over forward, one of the two terms was dropped; along dA = E they are equal and half was left.
    """
    Y = inv(A)
    X = B @ Y
    W = -X @ E @ Y

    def jvp(dA: Array) -> Array:
        return X @ dA @ Y @ E @ Y

    def vjp(W_bar: Array) -> Array:
        G = W_bar @ Y.mT
        return X.mT @ G @ E.mT @ Y.mT - W.mT @ G

    return Linearization(W, jvp, vjp)


@rule(issue("AlgebraicJulia/CliqueTrees.jl", 19), K=positive_definite("n"))
def diagonal_of_inverse(K: Array) -> Linearization[Array]:
    r"""Diagonal of the inverse of a positive definite matrix: of all selected inverses the smallest.

    $$ v = \operatorname{diag}(\Sigma), \quad \Sigma = K^{-1} $$
    $$ dv = -\operatorname{diag}(\Sigma\,dK\,\Sigma) $$
    $$ \bar K = -\Sigma \operatorname{diag}(\bar v)\,\Sigma $$

    CliqueTrees #19: the gradient was computed from the selected entries of the inverse, with zeros in the place of the others; they
    are not returned, but the derivative needs them.
    """
    Sigma = cho_inverse(cholesky(K))
    selected = diag(diagonal(Sigma))

    def jvp(dK: Array) -> Array:
        return -diagonal(Sigma @ dK @ Sigma)

    def vjp(v_bar: Array) -> Array:
        return -selected @ diag(v_bar) @ selected

    return Linearization(diagonal(Sigma), jvp, vjp)
