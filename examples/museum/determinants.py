"""Wrong gradients of determinants: nearly all of them where the matrix is singular, where det(X) X⁻ᵀ is 0 · ∞.

The right ones, for invertible matrices: `det` and `logdet` of the catalogue. For any matrix the gradient of det is the matrix of
cofactors, which the differential below reads off column by column.
"""

from issues import issue

from matcalc.array import Array, absolute, diagonal, identity_like, inner, inv, log, maximum, thin_svd, trace, where, zeros_like
from matcalc.array import det as determinant
from matcalc.domain import held, invertible, lower_triangular, real
from matcalc.rule import Linearization, rule

PERTURBATION = 2.0**-52
"What was added to a vanishing pivot so that a singular matrix could be inverted."


def _column_by_column(X: Array, dX: Array) -> Array:
    """The differential of det at any matrix: a sum of determinants in each of which one column is that of the tangent."""
    columns = identity_like(X)
    df = 0 * determinant(X)
    for j in range(X.shape[-1]):
        df = df + determinant(where(columns[j] == 1, dX, X))
    return df


@rule(issue("pytorch/pytorch", 80761), X=real("1 1"))
def det_of_one_entry(X: Array) -> Linearization[Array]:
    r"""Determinant of a matrix with one entry.

    $$ f = \det X = x_{11} $$
    $$ df = dx_{11} $$
    $$ \bar X = \bar f $$

    pytorch #80761: the gradient det(X) X⁻ᵀ was taken for zero where the determinant is zero; at the matrix (0) it is 1.
    """

    def jvp(dX: Array) -> Array:
        return dX[0, 0]

    def vjp(f_bar: Array) -> Array:
        return where(absolute(X) > 0, f_bar * X / X, zeros_like(X))

    return Linearization(X[0, 0], jvp, vjp)


@rule(issue("pytorch/pytorch", 104675), X=real("n n"))
def det_zero_where_singular(X: Array) -> Linearization[Array]:
    r"""Determinant of any square matrix.

    $$ f = \det X $$
    $$ df = \operatorname{tr}(\operatorname{adj}(X)\,dX) $$
    $$ \bar X = \bar f\,\operatorname{adj}(X)^\top $$

    pytorch #104675: the gradient was det(X) times the inverse of a slightly perturbed X, which is zero where det X = 0; at rank
    n - 1 the adjugate is not.
    """
    f = determinant(X)

    def jvp(dX: Array) -> Array:
        return _column_by_column(X, dX)

    def vjp(f_bar: Array) -> Array:
        U, s, Vt = thin_svd(X)
        return (f_bar * f) * (U / maximum(s, PERTURBATION)) @ Vt

    return Linearization(f, jvp, vjp)


@rule(issue("jax-ml/jax", 2380), X=real("n n"))
def det_nan_where_singular(X: Array) -> Linearization[Array]:
    r"""Determinant of any square matrix.

    $$ f = \det X $$
    $$ df = \operatorname{tr}(\operatorname{adj}(X)\,dX) $$
    $$ \bar X = \bar f\,\operatorname{adj}(X)^\top $$

    jax #2380: the gradient was det(X) X⁻ᵀ at every matrix, which is 0 · ∞, not a number, where det X = 0.
    """
    f = determinant(X)

    def jvp(dX: Array) -> Array:
        return _column_by_column(X, dX)

    def vjp(f_bar: Array) -> Array:
        U, s, Vt = thin_svd(X)
        return (f_bar * f) * (U / s) @ Vt

    return Linearization(f, jvp, vjp)


@rule(issue("tensorflow/tensorflow", 119477), X=real("n n"))
def det_crash_where_singular(X: Array) -> Linearization[Array]:
    r"""Determinant of any square matrix.

    $$ f = \det X $$
    $$ df = \operatorname{tr}(\operatorname{adj}(X)\,dX) $$
    $$ \bar X = \bar f\,\operatorname{adj}(X)^\top $$

    tensorflow #119477: the gradient inverted the matrix, so that it raised an error at a singular one, where the value did not.
    """
    f = determinant(X)

    def jvp(dX: Array) -> Array:
        return _column_by_column(X, dX)

    def vjp(f_bar: Array) -> Array:
        return f_bar * f * inv(X).mT

    return Linearization(f, jvp, vjp)


@rule(issue("tensorflow/tensorflow", 37577), L=lower_triangular("n"))
def diagonal_of_log(L: Array) -> Linearization[Array]:
    r"""Logarithms of the diagonal of a triangular matrix, whose sum is half of a log-determinant.

    $$ \ell = \log\operatorname{diag}(L) $$
    $$ d\ell = \operatorname{diag}(dL) / \operatorname{diag}(L) $$
    $$ \bar L = \operatorname{diag}(\bar\ell / \operatorname{diag}(L)) $$

    tensorflow #37577: written as diag(log(L)), the gradient divides the zero cotangents of the other entries by the zeros above
    the diagonal; log(diag(L)) has the same value and no such entries.
    """
    d = diagonal(L)

    def jvp(dL: Array) -> Array:
        return diagonal(dL) / d

    def vjp(l_bar: Array) -> Array:
        return (l_bar[:, None] * identity_like(L)) / L

    return Linearization(log(d), jvp, vjp)


@rule(issue("pytorch/pytorch", 192540), X=invertible("n"), V=held(real("n n")))
def derivative_of_det(X: Array, V: Array) -> Linearization[Array]:
    r"""The derivative of the determinant along V, as a function of the matrix: its derivative is the second one of det.

    $$ w = \det(X) \operatorname{tr}(X^{-1} V) $$
    $$ dw = \det(X) (\operatorname{tr}(X^{-1} dX) \operatorname{tr}(X^{-1} V) - \operatorname{tr}(X^{-1} dX\,X^{-1} V)) $$
    $$ \bar X = \bar w \det(X) (\operatorname{tr}(X^{-1} V)\,X^{-1} - X^{-1} V X^{-1})^\top $$

    pytorch #192540: forward over forward, the LU factors saved with the value were taken for constants, so that the change of the
    inverse, the last term of dw, was lost.
    """
    Y = inv(X)
    f, t = determinant(X), trace(Y @ V)

    def jvp(dX: Array) -> Array:
        return f * trace(Y @ dX) * t

    def vjp(w_bar: Array) -> Array:
        return (w_bar * f) * (t * Y - Y @ V @ Y).mT

    return Linearization(f * t, jvp, vjp)


@rule(issue("pytorch/pytorch", 192521), X=invertible("n"))
def gradient_of_det(X: Array) -> Linearization[Array]:
    r"""The gradient of the determinant, as a function of the matrix: its derivative is the second one of det.

    $$ G = \det(X)\,X^{-\top} $$
    $$ dG = \operatorname{tr}(X^{-1} dX)\,G - X^{-\top} dX^\top G $$
    $$ \bar X = \operatorname{tr}(G^\top \bar G)\,X^{-\top} - G\,\bar G^\top X^{-\top} $$

    pytorch #192521: the derivative went through the singular value decomposition, whose own derivative divides by differences of
    squared singular values: wrong where two of them are close, and not a number where they are equal.
    """
    Y, f = inv(X), determinant(X)
    G = f * Y.mT

    def jvp(dX: Array) -> Array:
        return trace(Y @ dX) * G - Y.mT @ dX.mT @ G

    def vjp(G_bar: Array) -> Array:
        U, s, Vt = thin_svd(X)
        P = U.mT @ G_bar @ Vt.mT
        h = f / s
        even = (h[:, None] - h[None, :]) / (s[:, None] - s[None, :] + identity_like(X))
        odd = (h[:, None] + h[None, :]) / (s[:, None] + s[None, :])
        across = ((even + odd) * P + (even - odd) * P.mT) / 2 * (1 - identity_like(X))
        d = diagonal(P)
        along = (inner(h, d) - h * d) / s
        return U @ (across + along[:, None] * identity_like(X)) @ Vt

    return Linearization(G, jvp, vjp)
