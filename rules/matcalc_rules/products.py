"""Products of matrices and vectors."""

from matcalc.array import Array, eye, identity_like, inner, kron, outer, permute, reshape, stack, total, trace
from matcalc.domain import real
from matcalc.rule import Linearization, rule
from matcalc.source import COOKBOOK, GILES, MAGNUS_NEUDECKER, NOTES


@rule(GILES, COOKBOOK.at("(37)"), X=real("n p"), W=real("p m"))
def matmul(X: Array, W: Array) -> Linearization[Array]:
    r"""Product of two matrices.

    $$ Z = X W $$
    $$ dZ = dX\,W + X\,dW $$
    $$ \bar X = \bar Z W^\top, \quad \bar W = X^\top \bar Z $$
    """

    def jvp(dX: Array, dW: Array) -> Array:
        return dX @ W + X @ dW

    def vjp(Z_bar: Array) -> tuple[Array, Array]:
        return Z_bar @ W.mT, X.mT @ Z_bar

    return Linearization(X @ W, jvp, vjp)


@rule(GILES, COOKBOOK.at("(35)"), A=real("n m"), B=real("n m"))
def matrix_sum(A: Array, B: Array) -> Linearization[Array]:
    r"""Sum of two matrices.

    $$ C = A + B $$
    $$ dC = dA + dB $$
    $$ \bar A = \bar C, \quad \bar B = \bar C $$
    """

    def jvp(dA: Array, dB: Array) -> Array:
        return dA + dB

    def vjp(C_bar: Array) -> tuple[Array, Array]:
        return C_bar, C_bar

    return Linearization(A + B, jvp, vjp)


@rule(NOTES.at("N4.10"), GILES, W=real("m n"), x=real("n"))
def linear_map(W: Array, x: Array) -> Linearization[Array]:
    r"""Matrix times vector; the three-way array of its derivatives in W, met by a cotangent, is an outer product.

    $$ y = W x $$
    $$ dy = dW\,x + W\,dx $$
    $$ \bar W = \bar y\,x^\top, \quad \bar x = W^\top \bar y $$
    $$ \frac{\partial y_i}{\partial W_{jk}} = \delta_{ij}\,x_k, \quad \frac{\partial y}{\partial x} = W $$
    """

    def jvp(dW: Array, dx: Array) -> Array:
        return dW @ x + W @ dx

    def vjp(y_bar: Array) -> tuple[Array, Array]:
        return outer(y_bar, x), y_bar @ W

    def jacobian() -> tuple[Array, Array]:
        return eye(W.shape[0], W)[:, :, None] * x, W

    return Linearization(W @ x, jvp, vjp, jacobian)


@rule(MAGNUS_NEUDECKER, x=real("m"), y=real("n"))
def outer_product(x: Array, y: Array) -> Linearization[Array]:
    r"""Outer product of two vectors.

    $$ Z = x\,y^\top $$
    $$ dZ = dx\,y^\top + x\,dy^\top $$
    $$ \bar x = \bar Z y, \quad \bar y = \bar Z^\top x $$
    """

    def jvp(dx: Array, dy: Array) -> Array:
        return outer(dx, y) + outer(x, dy)

    def vjp(Z_bar: Array) -> tuple[Array, Array]:
        return Z_bar @ y, x @ Z_bar

    return Linearization(outer(x, y), jvp, vjp)


@rule(COOKBOOK.at("(38)"), MAGNUS_NEUDECKER, X=real("n m"), Y=real("n m"))
def hadamard(X: Array, Y: Array) -> Linearization[Array]:
    r"""Product of two matrices entry by entry.

    $$ Z = X \odot Y $$
    $$ dZ = dX \odot Y + X \odot dY $$
    $$ \bar X = \bar Z \odot Y, \quad \bar Y = \bar Z \odot X $$
    """

    def jvp(dX: Array, dY: Array) -> Array:
        return dX * Y + X * dY

    def vjp(Z_bar: Array) -> tuple[Array, Array]:
        return Z_bar * Y, Z_bar * X

    return Linearization(X * Y, jvp, vjp)


@rule(COOKBOOK.at("(39)"), MAGNUS_NEUDECKER, A=real("m n"), B=real("p q"))
def kronecker(A: Array, B: Array) -> Linearization[Array]:
    r"""Kronecker product: the block matrix of all A_ij B. Its adjoint sums over blocks, or over places in a block.

    $$ Z = A \otimes B $$
    $$ dZ = dA \otimes B + A \otimes dB $$
    $$ \bar A = (I \otimes \mathbf 1^\top)\,(\bar Z \odot (\mathbf 1 \mathbf 1^\top \otimes B))\,(I \otimes \mathbf 1), \quad
       \bar B = (\mathbf 1^\top \otimes I)\,(\bar Z \odot (A \otimes \mathbf 1 \mathbf 1^\top))\,(\mathbf 1 \otimes I) $$
    """
    (m, n), (p, q) = A.shape, B.shape

    def jvp(dA: Array, dB: Array) -> Array:
        return kron(dA, B) + kron(A, dB)

    def vjp(Z_bar: Array) -> tuple[Array, Array]:
        blocks = permute(reshape(Z_bar, (m, p, n, q)), (0, 2, 1, 3))
        return total(blocks * B, axis=(2, 3)), total(blocks * A[:, :, None, None], axis=(0, 1))

    return Linearization(kron(A, B), jvp, vjp)


@rule(MAGNUS_NEUDECKER, X=real("n p"))
def gram(X: Array) -> Linearization[Array]:
    r"""Gram matrix of the columns of X.

    $$ G = X^\top X $$
    $$ dG = dX^\top X + X^\top dX $$
    $$ \bar X = X\,(\bar G + \bar G^\top) $$
    """

    def jvp(dX: Array) -> Array:
        half = X.mT @ dX
        return half.mT + half

    def vjp(G_bar: Array) -> Array:
        return X @ (G_bar + G_bar.mT)

    return Linearization(X.mT @ X, jvp, vjp)


@rule(GILES, c=real("4"), X=real("n n"))
def matrix_polynomial(c: Array, X: Array) -> Linearization[Array]:
    r"""Cubic polynomial of a square matrix, by Horner's scheme; also differentiated in its coefficients.

    $$ P = c_0 I + c_1 X + c_2 X^2 + c_3 X^3 $$
    $$ dP = dc_0\,I + dc_1\,X + dc_2\,X^2 + dc_3\,X^3 + c_1\,dX + c_2\,(dX\,X + X\,dX) + c_3\,(dX\,X^2 + X\,dX\,X + X^2\,dX) $$
    $$ \bar X = c_1 \bar P + c_2 (\bar P X^\top + X^\top \bar P)
       + c_3 (\bar P X^\top X^\top + X^\top \bar P X^\top + X^\top X^\top \bar P), \quad
       \bar c_0 = \operatorname{tr} \bar P, \quad \bar c_1 = \operatorname{tr}(X^\top \bar P), \quad
       \bar c_2 = \operatorname{tr}(X^\top X^\top \bar P), \quad \bar c_3 = \operatorname{tr}(X^\top X^\top X^\top \bar P) $$
    """
    identity = identity_like(X)
    H2 = c[2] * identity + c[3] * X
    H1 = c[1] * identity + X @ H2

    def jvp(dc: Array, dX: Array) -> Array:
        dH2 = dc[2] * identity + dc[3] * X + c[3] * dX
        dH1 = dc[1] * identity + dX @ H2 + X @ dH2
        return dc[0] * identity + dX @ H1 + X @ dH1

    def vjp(P_bar: Array) -> tuple[Array, Array]:
        H1_bar = X.mT @ P_bar
        H2_bar = X.mT @ H1_bar
        c_bar = stack([trace(P_bar), trace(H1_bar), trace(H2_bar), inner(H2_bar, X)])
        return c_bar, P_bar @ H1.mT + H1_bar @ H2.mT + c[3] * H2_bar

    return Linearization(c[0] * identity + X @ H1, jvp, vjp)


@rule(GILES, MAGNUS_NEUDECKER, X=real("n n"))
def matrix_cube(X: Array) -> Linearization[Array]:
    r"""Third power of a square matrix; X and dX do not commute.

    $$ Z = X^3 $$
    $$ dZ = dX\,X^2 + X\,dX\,X + X^2\,dX $$
    $$ \bar X = \bar Z X^\top X^\top + X^\top \bar Z X^\top + X^\top X^\top \bar Z $$
    """
    square = X @ X

    def jvp(dX: Array) -> Array:
        return (dX @ X + X @ dX) @ X + square @ dX

    def vjp(Z_bar: Array) -> Array:
        half = Z_bar @ X.mT
        return half @ X.mT + X.mT @ half + square.mT @ Z_bar

    return Linearization(square @ X, jvp, vjp)


@rule(MAGNUS_NEUDECKER, A=real("m n"), X=real("n n"))
def congruence(A: Array, X: Array) -> Linearization[Array]:
    r"""The matrix X carried along by A on both sides, as a covariance is by a linear map; X need not be symmetric.

    $$ C = A X A^\top $$
    $$ dC = dA\,X A^\top + A\,dX\,A^\top + A X\,dA^\top $$
    $$ \bar A = \bar C A X^\top + \bar C^\top A X, \quad \bar X = A^\top \bar C A $$
    """
    AX = A @ X

    def jvp(dA: Array, dX: Array) -> Array:
        return (dA @ X + A @ dX) @ A.mT + AX @ dA.mT

    def vjp(C_bar: Array) -> tuple[Array, Array]:
        CA = C_bar @ A
        return CA @ X.mT + C_bar.mT @ AX, A.mT @ CA

    return Linearization(AX @ A.mT, jvp, vjp)


@rule(COOKBOOK.at("(37)"), A=real("n n"), B=real("n n"))
def commutator(A: Array, B: Array) -> Linearization[Array]:
    r"""Commutator of two square matrices.

    $$ C = A B - B A $$
    $$ dC = dA\,B - B\,dA + A\,dB - dB\,A $$
    $$ \bar A = \bar C B^\top - B^\top \bar C, \quad \bar B = A^\top \bar C - \bar C A^\top $$
    """

    def jvp(dA: Array, dB: Array) -> Array:
        return dA @ B - B @ dA + A @ dB - dB @ A

    def vjp(C_bar: Array) -> tuple[Array, Array]:
        return C_bar @ B.mT - B.mT @ C_bar, A.mT @ C_bar - C_bar @ A.mT

    return Linearization(A @ B - B @ A, jvp, vjp)


@rule(COOKBOOK.at("(37)"), MAGNUS_NEUDECKER, s=real("n"), X=real("n m"))
def row_scaling(s: Array, X: Array) -> Linearization[Array]:
    r"""The rows of a matrix, each times a number.

    $$ Z = \operatorname{diag}(s)\,X $$
    $$ dZ = \operatorname{diag}(ds)\,X + \operatorname{diag}(s)\,dX $$
    $$ \bar s = (\bar Z \odot X)\,\mathbf 1, \quad \bar X = \operatorname{diag}(s)\,\bar Z $$
    """

    def jvp(ds: Array, dX: Array) -> Array:
        return ds[:, None] * X + s[:, None] * dX

    def vjp(Z_bar: Array) -> tuple[Array, Array]:
        return total(Z_bar * X, axis=1), s[:, None] * Z_bar

    return Linearization(s[:, None] * X, jvp, vjp)
