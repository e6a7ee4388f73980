"""Traces of products of matrices."""

from matcalc.array import Array, identity_like, inner, trace
from matcalc.domain import real
from matcalc.rule import Linearization, rule
from matcalc.source import COOKBOOK, MAGNUS_NEUDECKER, MINKA


@rule(COOKBOOK.at("(99)"), MINKA, X=real("n n"))
def matrix_trace(X: Array) -> Linearization[Array]:
    r"""Trace of a square matrix.

    $$ f = \operatorname{tr} X $$
    $$ df = \operatorname{tr} dX $$
    $$ \bar X = \bar f\,I $$
    """

    def vjp(f_bar: Array) -> Array:
        return f_bar * identity_like(X)

    def jvp(dX: Array) -> Array:
        return trace(dX)

    return Linearization(trace(X), jvp, vjp)


@rule(COOKBOOK.at("(103)"), MAGNUS_NEUDECKER, A=real("m n"), B=real("m n"))
def matrix_inner_product(A: Array, B: Array) -> Linearization[Array]:
    r"""Inner product of two matrices, as the sum of products of their entries.

    $$ f = \operatorname{tr}(A^\top B) $$
    $$ df = \operatorname{tr}(dA^\top B) + \operatorname{tr}(A^\top dB) $$
    $$ \bar A = \bar f\,B, \quad \bar B = \bar f\,A $$
    """

    def jvp(dA: Array, dB: Array) -> Array:
        return inner(dA, B) + inner(A, dB)

    def vjp(f_bar: Array) -> tuple[Array, Array]:
        return f_bar * B, f_bar * A

    return Linearization(inner(A, B), jvp, vjp)


@rule(COOKBOOK.at("(101)"), MINKA, A=real("p m"), X=real("m n"), B=real("n p"))
def trace_of_product(A: Array, X: Array, B: Array) -> Linearization[Array]:
    r"""Trace of a product of three matrices; the last product is never formed, only its diagonal.

    $$ f = \operatorname{tr}(A X B) $$
    $$ df = \operatorname{tr}(dA\,X B) + \operatorname{tr}(A\,dX\,B) + \operatorname{tr}(A X\,dB) $$
    $$ \bar A = \bar f\,B^\top X^\top, \quad \bar X = \bar f\,A^\top B^\top, \quad \bar B = \bar f\,X^\top A^\top $$
    """
    AX = A @ X

    def jvp(dA: Array, dX: Array, dB: Array) -> Array:
        return inner(dA @ X + A @ dX, B.mT) + inner(AX, dB.mT)

    def vjp(f_bar: Array) -> tuple[Array, Array, Array]:
        weighted = f_bar * B
        return weighted.mT @ X.mT, A.mT @ weighted.mT, f_bar * AX.mT

    return Linearization(inner(AX, B.mT), jvp, vjp)


@rule(COOKBOOK.at("(118)"), MAGNUS_NEUDECKER, A=real("m m"), X=real("m n"), B=real("n n"))
def trace_axbxt(A: Array, X: Array, B: Array) -> Linearization[Array]:
    r"""Trace of a quadratic expression in X between two square matrices, neither of them symmetric.

    $$ f = \operatorname{tr}(A X B X^\top) $$
    $$ df = \operatorname{tr}(dA\,X B X^\top) + \operatorname{tr}((A^\top X B^\top + A X B)^\top dX) + \operatorname{tr}(X^\top A X\,dB) $$
    $$ \bar A = \bar f\,X B^\top X^\top, \quad \bar X = \bar f\,(A^\top X B^\top + A X B), \quad \bar B = \bar f\,X^\top A^\top X $$
    """
    AX = A @ X
    AXB = AX @ B

    def jvp(dA: Array, dX: Array, dB: Array) -> Array:
        return inner(dA @ X @ B + A @ dX @ B + AX @ dB, X) + inner(AXB, dX)

    def vjp(f_bar: Array) -> tuple[Array, Array, Array]:
        AXB_bar = f_bar * X
        AX_bar = AXB_bar @ B.mT
        return AX_bar @ X.mT, A.mT @ AX_bar + f_bar * AXB, AX.mT @ AXB_bar

    return Linearization(inner(AXB, X), jvp, vjp)


@rule(COOKBOOK.at("(108)"), MINKA, B=real("n n"), X=real("n p"))
def trace_xtbx(B: Array, X: Array) -> Linearization[Array]:
    r"""Sum of the quadratic forms of the columns of X, as in the smoothness of functions on a graph with Laplacian B.

    $$ f = \operatorname{tr}(X^\top B X) $$
    $$ df = \operatorname{tr}(X^\top dB\,X) + \operatorname{tr}(X^\top (B + B^\top)\,dX) $$
    $$ \bar B = \bar f\,X X^\top, \quad \bar X = \bar f\,(B + B^\top)\,X $$
    """
    BX = B @ X

    def jvp(dB: Array, dX: Array) -> Array:
        return inner(dB @ X + B @ dX, X) + inner(BX, dX)

    def vjp(f_bar: Array) -> tuple[Array, Array]:
        BX_bar = f_bar * X
        return BX_bar @ X.mT, f_bar * BX + B.mT @ BX_bar

    return Linearization(inner(BX, X), jvp, vjp)


@rule(COOKBOOK.at("(115)"), MAGNUS_NEUDECKER, X=real("m n"))
def trace_xtx(X: Array) -> Linearization[Array]:
    r"""Trace of a Gram matrix: the sum of squares of all entries.

    $$ f = \operatorname{tr}(X^\top X) $$
    $$ df = 2 \operatorname{tr}(X^\top dX) $$
    $$ \bar X = 2 \bar f\,X $$
    """

    def jvp(dX: Array) -> Array:
        return 2 * inner(X, dX)

    def vjp(f_bar: Array) -> Array:
        return 2 * f_bar * X

    return Linearization(inner(X, X), jvp, vjp)


@rule(COOKBOOK.at("(121)"), X=real("n n"))
def trace_cube(X: Array) -> Linearization[Array]:
    r"""Trace of the third power of a square matrix.

    $$ f = \operatorname{tr}(X^3) $$
    $$ df = 3 \operatorname{tr}(X^2\,dX) $$
    $$ \bar X = 3 \bar f\,X^\top X^\top $$
    """
    square = X @ X

    def jvp(dX: Array) -> Array:
        return 3 * inner(square.mT, dX)

    def vjp(f_bar: Array) -> Array:
        return 3 * f_bar * square.mT

    return Linearization(inner(square.mT, X), jvp, vjp)


@rule(COOKBOOK.at("(105)"), A=real("m m"), X=real("n n"))
def trace_kronecker(A: Array, X: Array) -> Linearization[Array]:
    r"""Trace of a Kronecker product: the product of the traces.

    $$ f = \operatorname{tr}(A \otimes X) $$
    $$ df = \operatorname{tr}(dA)\operatorname{tr}(X) + \operatorname{tr}(A)\operatorname{tr}(dX) $$
    $$ \bar A = \bar f\,\operatorname{tr}(X)\,I, \quad \bar X = \bar f\,\operatorname{tr}(A)\,I $$
    """
    tr_A, tr_X = trace(A), trace(X)

    def jvp(dA: Array, dX: Array) -> Array:
        return trace(dA) * tr_X + tr_A * trace(dX)

    def vjp(f_bar: Array) -> tuple[Array, Array]:
        return f_bar * tr_X * identity_like(A), f_bar * tr_A * identity_like(X)

    return Linearization(tr_A * tr_X, jvp, vjp)


@rule(COOKBOOK.at("(119)"), A=real("p m"), X=real("m n"), B=real("n q"), C=real("p q"))
def squared_affine(A: Array, X: Array, B: Array, C: Array) -> Linearization[Array]:
    r"""Sum of squares of an affine function of a matrix.

    $$ f = \operatorname{tr}((A X B + C)^\top (A X B + C)) $$
    $$ df = 2 \operatorname{tr}((A X B + C)^\top (dA\,X B + A\,dX\,B + A X\,dB + dC)) $$
    $$ \bar A = 2 \bar f\,(A X B + C) B^\top X^\top, \quad \bar X = 2 \bar f\,A^\top (A X B + C) B^\top, \quad
       \bar B = 2 \bar f\,X^\top A^\top (A X B + C), \quad \bar C = 2 \bar f\,(A X B + C) $$
    """
    AX = A @ X
    R = AX @ B + C

    def jvp(dA: Array, dX: Array, dB: Array, dC: Array) -> Array:
        return 2 * inner(R, (dA @ X + A @ dX) @ B + AX @ dB + dC)

    def vjp(f_bar: Array) -> tuple[Array, Array, Array, Array]:
        C_bar = 2 * f_bar * R
        AX_bar = C_bar @ B.mT
        return AX_bar @ X.mT, A.mT @ AX_bar, AX.mT @ C_bar, C_bar

    return Linearization(inner(R, R), jvp, vjp)
