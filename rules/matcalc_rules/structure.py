"""Rearrangements and structured parts of matrices: all linear but the last, so that most differentials are the function itself."""

from matcalc.array import Array, block, diag, diagonal, mean, reshape, skew, sym, tril
from matcalc.domain import lower_triangular, real
from matcalc.rule import Linearization, rule
from matcalc.source import COOKBOOK, MAGNUS_NEUDECKER


@rule(COOKBOOK.at("(44)"), MAGNUS_NEUDECKER, X=real("m n"))
def transpose(X: Array) -> Linearization[Array]:
    r"""Transpose of a matrix.

    $$ Z = X^\top $$
    $$ dZ = dX^\top $$
    $$ \bar X = \bar Z^\top $$
    """

    def jvp(dX: Array) -> Array:
        return dX.mT

    def vjp(Z_bar: Array) -> Array:
        return Z_bar.mT

    return Linearization(X.mT, jvp, vjp)


@rule(MAGNUS_NEUDECKER, X=real("n n"))
def symmetric_part(X: Array) -> Linearization[Array]:
    r"""Symmetric part of a square matrix: an orthogonal projection, which is its own adjoint.

    $$ Z = \tfrac12 (X + X^\top) $$
    $$ dZ = \tfrac12 (dX + dX^\top) $$
    $$ \bar X = \tfrac12 (\bar Z + \bar Z^\top) $$
    """

    def jvp(dX: Array) -> Array:
        return sym(dX)

    def vjp(Z_bar: Array) -> Array:
        return sym(Z_bar)

    return Linearization(sym(X), jvp, vjp)


@rule(MAGNUS_NEUDECKER, X=real("n n"))
def skew_part(X: Array) -> Linearization[Array]:
    r"""Skew-symmetric part of a square matrix.

    $$ Z = \tfrac12 (X - X^\top) $$
    $$ dZ = \tfrac12 (dX - dX^\top) $$
    $$ \bar X = \tfrac12 (\bar Z - \bar Z^\top) $$
    """

    def jvp(dX: Array) -> Array:
        return skew(dX)

    def vjp(Z_bar: Array) -> Array:
        return skew(Z_bar)

    return Linearization(skew(X), jvp, vjp)


@rule(MAGNUS_NEUDECKER, X=real("n n"))
def lower_triangle(X: Array) -> Linearization[Array]:
    r"""Lower triangle of a square matrix, its diagonal included.

    $$ Z = \operatorname{tril}(X) $$
    $$ dZ = \operatorname{tril}(dX) $$
    $$ \bar X = \operatorname{tril}(\bar Z) $$
    """

    def jvp(dX: Array) -> Array:
        return tril(dX)

    def vjp(Z_bar: Array) -> Array:
        return tril(Z_bar)

    return Linearization(tril(X), jvp, vjp)


@rule(MAGNUS_NEUDECKER, X=real("m n"))
def vec(X: Array) -> Linearization[Array]:
    r"""The columns of a matrix stacked below each other.

    $$ z = \operatorname{vec}(X) $$
    $$ dz = \operatorname{vec}(dX) $$
    $$ \operatorname{vec}(\bar X) = \bar z $$
    """
    m, n = X.shape

    def jvp(dX: Array) -> Array:
        return reshape(dX.mT, (m * n,))

    def vjp(z_bar: Array) -> Array:
        return reshape(z_bar, (n, m)).mT

    return Linearization(reshape(X.mT, (m * n,)), jvp, vjp)


@rule(MAGNUS_NEUDECKER, x=real("n"))
def diag_embed(x: Array) -> Linearization[Array]:
    r"""Diagonal matrix of a vector.

    $$ Z = \operatorname{diag}(x) $$
    $$ dZ = \operatorname{diag}(dx) $$
    $$ \bar x = \operatorname{diag}(\bar Z) $$
    """

    def jvp(dx: Array) -> Array:
        return diag(dx)

    def vjp(Z_bar: Array) -> Array:
        return diagonal(Z_bar)

    return Linearization(diag(x), jvp, vjp)


@rule(MAGNUS_NEUDECKER, X=real("n n"))
def diag_extract(X: Array) -> Linearization[Array]:
    r"""Diagonal of a square matrix.

    $$ z = \operatorname{diag}(X) $$
    $$ dz = \operatorname{diag}(dX) $$
    $$ \bar X = \operatorname{diag}(\bar z) $$
    """

    def jvp(dX: Array) -> Array:
        return diagonal(dX)

    def vjp(z_bar: Array) -> Array:
        return diag(z_bar)

    return Linearization(diagonal(X), jvp, vjp)


@rule(MAGNUS_NEUDECKER, X=real("n>=1 p"))
def centering(X: Array) -> Linearization[Array]:
    r"""A data matrix with the mean of each column taken off: a projection, which is its own adjoint.

    $$ Z = X - \tfrac1n \mathbf 1 \mathbf 1^\top X $$
    $$ dZ = dX - \tfrac1n \mathbf 1 \mathbf 1^\top dX $$
    $$ \bar X = \bar Z - \tfrac1n \mathbf 1 \mathbf 1^\top \bar Z $$
    """

    def centered(Y: Array) -> Array:
        return Y - mean(Y, axis=0)

    def jvp(dX: Array) -> Array:
        return centered(dX)

    def vjp(Z_bar: Array) -> Array:
        return centered(Z_bar)

    return Linearization(centered(X), jvp, vjp)


@rule(MAGNUS_NEUDECKER, A=real("m n"), B=real("m q"), C=real("p n"), D=real("p q"))
def block_matrix(A: Array, B: Array, C: Array, D: Array) -> Linearization[Array]:
    r"""A matrix put together of four blocks; its cotangent falls apart into theirs.

    $$ M = \begin{pmatrix} A & B \\ C & D \end{pmatrix} $$
    $$ dM = \begin{pmatrix} dA & dB \\ dC & dD \end{pmatrix} $$
    $$ \begin{pmatrix} \bar A & \bar B \\ \bar C & \bar D \end{pmatrix} = \bar M $$
    """
    m, n = A.shape

    def jvp(dA: Array, dB: Array, dC: Array, dD: Array) -> Array:
        return block([[dA, dB], [dC, dD]])

    def vjp(M_bar: Array) -> tuple[Array, Array, Array, Array]:
        return M_bar[:m, :n], M_bar[:m, n:], M_bar[m:, :n], M_bar[m:, n:]

    return Linearization(block([[A, B], [C, D]]), jvp, vjp)


@rule(MAGNUS_NEUDECKER, L=lower_triangular("n"))
def gram_of_cholesky(L: Array) -> Linearization[Array]:
    r"""Positive definite matrix of a Cholesky factor; only the lower triangle receives a gradient.

    $$ K = L L^\top $$
    $$ dK = dL\,L^\top + L\,dL^\top $$
    $$ \bar L = \operatorname{tril}((\bar K + \bar K^\top)\,L) $$
    """
    lower = tril(L)  # what stands above the diagonal is not read

    def jvp(dL: Array) -> Array:
        half = dL @ lower.mT
        return half + half.mT

    def vjp(K_bar: Array) -> Array:
        return tril((K_bar + K_bar.mT) @ lower)

    return Linearization(lower @ lower.mT, jvp, vjp)
