"""Numbers made of vectors and matrices: linear, bilinear and quadratic forms.

The transposed product of a matrix and a vector is written x @ B, not B.mT @ x, which XLA computes several times slower.
"""

from matcalc.array import Array, inner, outer
from matcalc.domain import nonzero, real, symmetric
from matcalc.rule import Linearization, rule
from matcalc.source import COOKBOOK, MAGNUS_NEUDECKER, MINKA


@rule(COOKBOOK.at("(69)"), MINKA, a=real("n"), x=real("n"))
def inner_product(a: Array, x: Array) -> Linearization[Array]:
    r"""Inner product of two vectors.

    $$ f = a^\top x $$
    $$ df = da^\top x + a^\top dx $$
    $$ \bar a = \bar f\,x, \quad \bar x = \bar f\,a $$
    """

    def jvp(da: Array, dx: Array) -> Array:
        return inner(da, x) + inner(a, dx)

    def vjp(f_bar: Array) -> tuple[Array, Array]:
        return f_bar * x, f_bar * a

    return Linearization(inner(a, x), jvp, vjp)


@rule(COOKBOOK.at("(70)"), MINKA, a=real("m"), X=real("m n"), b=real("n"))
def bilinear_form(a: Array, X: Array, b: Array) -> Linearization[Array]:
    r"""Bilinear form of two vectors.

    $$ f = a^\top X b $$
    $$ df = da^\top X b + a^\top dX\,b + a^\top X\,db $$
    $$ \bar a = \bar f\,X b, \quad \bar X = \bar f\,a\,b^\top, \quad \bar b = \bar f\,X^\top a $$
    """
    Xb = X @ b

    def jvp(da: Array, dX: Array, db: Array) -> Array:
        return inner(da, Xb) + inner(a, dX @ b + X @ db)

    def vjp(f_bar: Array) -> tuple[Array, Array, Array]:
        return f_bar * Xb, outer(f_bar * a, b), f_bar * (a @ X)

    return Linearization(inner(a, Xb), jvp, vjp)


@rule(COOKBOOK.at("(81)"), MINKA, x=real("n"), B=real("n n"))
def quadratic_form(x: Array, B: Array) -> Linearization[Array]:
    r"""Quadratic form of any square matrix, symmetric or not.

    $$ f = x^\top B x $$
    $$ df = dx^\top (B + B^\top)\,x + x^\top dB\,x $$
    $$ \bar x = \bar f\,(B + B^\top)\,x, \quad \bar B = \bar f\,x\,x^\top $$
    """
    Bx = B @ x

    def jvp(dx: Array, dB: Array) -> Array:
        return inner(dx, Bx) + inner(x, dB @ x + B @ dx)

    def vjp(f_bar: Array) -> tuple[Array, Array]:
        return f_bar * (Bx + x @ B), outer(f_bar * x, x)

    return Linearization(inner(x, Bx), jvp, vjp)


@rule(MAGNUS_NEUDECKER, x=nonzero("n>=1"), A=real("n n"))
def rayleigh_quotient(x: Array, A: Array) -> Linearization[Array]:
    r"""Rayleigh quotient of any square matrix at a vector other than zero.

    $$ r = \frac{x^\top A x}{x^\top x} $$
    $$ dr = \frac{dx^\top ((A + A^\top)\,x - 2 r\,x) + x^\top dA\,x}{x^\top x} $$
    $$ \bar x = \frac{\bar r\,((A + A^\top)\,x - 2 r\,x)}{x^\top x}, \quad \bar A = \frac{\bar r\,x\,x^\top}{x^\top x} $$
    """
    Ax = A @ x
    square = inner(x, x)
    r = inner(x, Ax) / square

    def jvp(dx: Array, dA: Array) -> Array:
        return (inner(dx, Ax - 2 * r * x) + inner(x, A @ dx + dA @ x)) / square

    def vjp(r_bar: Array) -> tuple[Array, Array]:
        weight = r_bar / square
        return weight * (Ax + x @ A - 2 * r * x), outer(weight * x, x)

    return Linearization(r, jvp, vjp)


@rule(COOKBOOK.at("(84)"), COOKBOOK.at("(88)"), b=real("n"), X=real("n p"), w=real("p"), W=symmetric("n"))
def weighted_residual(b: Array, X: Array, w: Array, W: Array) -> Linearization[Array]:
    r"""Weighted sum of squares of the residual of a linear model, with a symmetric weight matrix.

    $$ f = (b - X w)^\top W (b - X w) $$
    $$ df = 2\,(b - X w)^\top W\,(db - dX\,w - X\,dw) + (b - X w)^\top dW\,(b - X w) $$
    $$ \bar b = 2 \bar f\,W (b - X w), \quad \bar X = -2 \bar f\,W (b - X w)\,w^\top, \quad
       \bar w = -2 \bar f\,X^\top W (b - X w), \quad \bar W = \bar f\,(b - X w)(b - X w)^\top $$
    """
    r = b - X @ w
    Wr = W @ r

    def jvp(db: Array, dX: Array, dw: Array, dW: Array) -> Array:
        return 2 * inner(Wr, db - dX @ w - X @ dw) + inner(r, dW @ r)

    def vjp(f_bar: Array) -> tuple[Array, Array, Array, Array]:
        b_bar = 2 * f_bar * Wr
        return b_bar, outer(-b_bar, w), -(b_bar @ X), outer(f_bar * r, r)

    return Linearization(inner(r, Wr), jvp, vjp)


@rule(COOKBOOK.at("(84)"), MAGNUS_NEUDECKER, b=real("n"), X=real("n p"), w=real("p"), W=real("n n"))
def weighted_residual_general(b: Array, X: Array, w: Array, W: Array) -> Linearization[Array]:
    r"""The same quadratic form of a residual where the weight matrix is not symmetric.

    $$ f = (b - X w)^\top W (b - X w) $$
    $$ df = (b - X w)^\top (W + W^\top)\,(db - dX\,w - X\,dw) + (b - X w)^\top dW\,(b - X w) $$
    $$ \bar b = \bar f\,(W + W^\top)(b - X w), \quad \bar X = -\bar f\,(W + W^\top)(b - X w)\,w^\top, \quad
       \bar w = -\bar f\,X^\top (W + W^\top)(b - X w), \quad \bar W = \bar f\,(b - X w)(b - X w)^\top $$
    """
    r = b - X @ w
    Wr = W @ r

    def jvp(db: Array, dX: Array, dw: Array, dW: Array) -> Array:
        dr = db - dX @ w - X @ dw
        return inner(Wr, dr) + inner(r, W @ dr + dW @ r)

    def vjp(f_bar: Array) -> tuple[Array, Array, Array, Array]:
        b_bar = f_bar * (Wr + r @ W)
        return b_bar, outer(-b_bar, w), -(b_bar @ X), outer(f_bar * r, r)

    return Linearization(inner(r, Wr), jvp, vjp)


@rule(COOKBOOK.at("(77)"), b=real("n"), X=real("m n"), c=real("n"))
def gram_form(b: Array, X: Array, c: Array) -> Linearization[Array]:
    r"""Bilinear form of the Gram matrix of X, without forming that matrix.

    $$ f = b^\top X^\top X c $$
    $$ df = (dX\,b + X\,db)^\top X c + (X b)^\top (dX\,c + X\,dc) $$
    $$ \bar b = \bar f\,X^\top X c, \quad \bar X = \bar f\,X\,(b\,c^\top + c\,b^\top), \quad \bar c = \bar f\,X^\top X b $$
    """
    Xb, Xc = X @ b, X @ c

    def jvp(db: Array, dX: Array, dc: Array) -> Array:
        return inner(dX @ b + X @ db, Xc) + inner(Xb, dX @ c + X @ dc)

    def vjp(f_bar: Array) -> tuple[Array, Array, Array]:
        u, v = f_bar * Xb, f_bar * Xc
        return v @ X, outer(u, c) + outer(v, b), u @ X

    return Linearization(inner(Xb, Xc), jvp, vjp)


@rule(COOKBOOK.at("(78)"), x=real("n"), B=real("m n"), b=real("m"), C=real("m p"), D=real("p n"), e=real("p"))
def affine_bilinear_form(x: Array, B: Array, b: Array, C: Array, D: Array, e: Array) -> Linearization[Array]:
    r"""Bilinear form of two affine functions of one vector, through which x has two paths.

    $$ f = (B x + b)^\top C (D x + e) $$
    $$ df = (dB\,x + B\,dx + db)^\top C (D x + e) + (B x + b)^\top dC\,(D x + e) + (B x + b)^\top C\,(dD\,x + D\,dx + de) $$
    $$ \bar x = \bar f\,(B^\top C (D x + e) + D^\top C^\top (B x + b)), \quad \bar B = \bar f\,C (D x + e)\,x^\top, \quad
       \bar b = \bar f\,C (D x + e), \quad \bar C = \bar f\,(B x + b)(D x + e)^\top, \quad
       \bar D = \bar f\,C^\top (B x + b)\,x^\top, \quad \bar e = \bar f\,C^\top (B x + b) $$
    """
    left, right = B @ x + b, D @ x + e
    Cr = C @ right

    def jvp(dx: Array, dB: Array, db: Array, dC: Array, dD: Array, de: Array) -> Array:
        return inner(dB @ x + B @ dx + db, Cr) + inner(left, dC @ right + C @ (dD @ x + D @ dx + de))

    def vjp(f_bar: Array) -> tuple[Array, Array, Array, Array, Array, Array]:
        b_bar, e_bar = f_bar * Cr, (f_bar * left) @ C
        x_bar = b_bar @ B + e_bar @ D
        return x_bar, outer(b_bar, x), b_bar, outer(f_bar * left, right), outer(e_bar, x), e_bar

    return Linearization(inner(left, Cr), jvp, vjp)
