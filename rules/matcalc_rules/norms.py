"""Norms, distances and angles."""

from matcalc.array import Array, absolute, identity_like, inner, log, norm, outer, sign, thin_svd, total
from matcalc.domain import distinct_singular_values, interval, nonzero, orthonormal, positive, punctured, real
from matcalc.rule import Linearization, built_from, rule
from matcalc.source import BISHOP, BOYD, COOKBOOK, MAGNUS_NEUDECKER, NOTES, RASMUSSEN_WILLIAMS, TOWNSEND


@rule(COOKBOOK.at("(131)"), MAGNUS_NEUDECKER, x=real("n"))
def squared_norm(x: Array) -> Linearization[Array]:
    r"""Squared Euclidean norm of a vector.

    $$ \ell = \|x\|^2 $$
    $$ d\ell = 2 x^\top dx $$
    $$ \bar x = 2 \bar\ell\,x $$
    """

    def jvp(dx: Array) -> Array:
        return 2 * inner(x, dx)

    def vjp(l_bar: Array) -> Array:
        return 2 * l_bar * x

    return Linearization(inner(x, x), jvp, vjp)


@rule(NOTES.at("N4.3"), COOKBOOK.at("(131)"), g=real("n"), x=real("n"))
def squared_distance(g: Array, x: Array) -> Linearization[Array]:
    r"""Squared Euclidean distance of two vectors.

    $$ \ell = \|g - x\|^2 $$
    $$ d\ell = 2 (g - x)^\top (dg - dx) $$
    $$ \bar g = 2 \bar\ell\,(g - x), \quad \bar x = -2 \bar\ell\,(g - x) $$
    """
    m = g - x

    def jvp(dg: Array, dx: Array) -> Array:
        return 2 * inner(m, dg - dx)

    def vjp(l_bar: Array) -> tuple[Array, Array]:
        m_bar = 2 * l_bar * m
        return m_bar, -m_bar

    return Linearization(inner(m, m), jvp, vjp)


@rule(COOKBOOK.at("(129)"), BOYD, x=punctured("n>=1"))
def euclidean_norm(x: Array) -> Linearization[Array]:
    r"""Euclidean norm of a vector other than zero.

    $$ f = \|x\| $$
    $$ df = \frac{1}{f} x^\top dx $$
    $$ \bar x = \frac{\bar f}{f} x $$
    """
    f = norm(x)

    def jvp(dx: Array) -> Array:
        return inner(x, dx) / f

    def vjp(f_bar: Array) -> Array:
        return f_bar / f * x

    return Linearization(f, jvp, vjp)


@rule(COOKBOOK.at("(132)"), MAGNUS_NEUDECKER, X=punctured("m>=1 n>=1"))
def frobenius_norm(X: Array) -> Linearization[Array]:
    r"""Frobenius norm of a matrix other than zero.

    $$ f = \|X\|_F $$
    $$ df = \frac{1}{f} \operatorname{tr}(X^\top dX) $$
    $$ \bar X = \frac{\bar f}{f} X $$
    """
    f = norm(X)

    def jvp(dX: Array) -> Array:
        return inner(X, dX) / f

    def vjp(f_bar: Array) -> Array:
        return f_bar / f * X

    return Linearization(f, jvp, vjp)


@rule(BOYD, x=nonzero("n"))
def one_norm(x: Array) -> Linearization[Array]:
    r"""Sum of absolute values, away from its kinks at zero entries.

    $$ f = \|x\|_1 $$
    $$ df = \operatorname{sign}(x)^\top dx $$
    $$ \bar x = \bar f \operatorname{sign}(x) $$
    """

    def jvp(dx: Array) -> Array:
        return inner(sign(x), dx)

    def vjp(f_bar: Array) -> Array:
        return f_bar * sign(x)

    return Linearization(total(absolute(x)), jvp, vjp)


@rule(BOYD, x=nonzero("n>=1"), p=interval(1, 5))
def p_norm(x: Array, p: Array) -> Linearization[Array]:
    r"""The p-norm of a vector without zero entries, as a function of its exponent too.

    $$ f = (\mathbf 1^\top |x|^p)^{1/p} $$
    $$ df = q^\top dx + c\,dp $$
    $$ \bar x = \bar f\,q, \quad \bar p = \bar f\,c $$
    $$ a = \tfrac{1}{f} |x| $$
    $$ q = a^{p-1} \odot \operatorname{sign}(x), \quad c = \frac{f}{p} (a^p)^\top \log(a) $$
    """
    size = absolute(x)
    f = total(size**p) ** (1 / p)

    def gradient() -> tuple[Array, Array]:
        a = size / f  # the p-th powers of a sum to one
        power = a**p
        return power / a * sign(x), f / p * inner(power, log(a))

    def jvp(dx: Array, dp: Array) -> Array:
        q, c = gradient()
        return inner(q, dx) + c * dp

    def vjp(f_bar: Array) -> tuple[Array, Array]:
        q, c = gradient()
        return f_bar * q, f_bar * c

    return Linearization(f, jvp, vjp)


@rule(COOKBOOK.at("(130)"), x=punctured("n>=1"))
def unit_vector(x: Array) -> Linearization[Array]:
    r"""The unit vector in the direction of a vector other than zero; its Jacobian is symmetric.

    $$ u = \frac{x}{\|x\|} $$
    $$ du = J\,dx $$
    $$ \bar x = J\,\bar u $$
    $$ J = \frac{1}{\|x\|} (I - u u^\top) $$
    """
    length = norm(x)
    u = x / length

    def jvp(dx: Array) -> Array:
        return (dx - u * inner(u, dx)) / length

    def jacobian() -> Array:
        return (identity_like(x) - outer(u, u)) / length

    return Linearization(u, jvp, vjp=jvp, jacobian=jacobian)


@rule(BISHOP, COOKBOOK.at("(130)"), x=punctured("n>=1"), y=punctured("n>=1"))
def cosine_similarity(x: Array, y: Array) -> Linearization[Array]:
    r"""Cosine of the angle between two vectors other than zero.

    $$ c = \frac{x^\top y}{\|x\| \|y\|} $$
    $$ dc = p^\top dx + q^\top dy $$
    $$ \bar x = \bar c\,p, \quad \bar y = \bar c\,q $$
    $$ u = \frac{x}{\|x\|}, \quad v = \frac{y}{\|y\|} $$
    $$ p = \frac{1}{\|x\|} (v - c u), \quad q = \frac{1}{\|y\|} (u - c v) $$
    """
    x_length, y_length = norm(x), norm(y)
    u, v = x / x_length, y / y_length
    c = inner(u, v)

    def gradient() -> tuple[Array, Array]:
        return (v - c * u) / x_length, (u - c * v) / y_length

    def jvp(dx: Array, dy: Array) -> Array:
        p, q = gradient()
        return inner(p, dx) + inner(q, dy)

    def vjp(c_bar: Array) -> tuple[Array, Array]:
        p, q = gradient()
        return c_bar * p, c_bar * q

    return Linearization(c, jvp, vjp)


@built_from(lambda U, s, V: (U * s) @ V.mT, value=lambda _U, s, _V: total(s), U=orthonormal("m n"), s=positive("n"), V=orthonormal("n n"))
@built_from(lambda U, s, V: (U * s) @ V.mT, value=lambda _U, s, _V: total(s), U=orthonormal("m m"), s=positive("m"), V=orthonormal("n m"))
@rule(BOYD, TOWNSEND, A=distinct_singular_values("m n"))
def nuclear_norm(A: Array) -> Linearization[Array]:
    r"""Sum of the singular values; the differential needs full rank only, for it holds no difference of singular values.

    $$ f = \|A\|_* $$
    $$ df = \operatorname{tr}(V U^\top dA) $$
    $$ \bar A = \bar f\,U V^\top $$
    $$ A = U \operatorname{diag}(s) V^\top $$
    """
    U, s, Vt = thin_svd(A)

    def jvp(dA: Array) -> Array:
        return inner(U @ Vt, dA)

    def vjp(f_bar: Array) -> Array:
        return f_bar * U @ Vt

    return Linearization(total(s), jvp, vjp)


@rule(BOYD, TOWNSEND, A=distinct_singular_values("m>=1 n>=1"))
def spectral_norm(A: Array) -> Linearization[Array]:
    r"""Largest singular value, with its singular vectors u and v; the differential needs the largest to be simple.

    $$ f = \|A\|_2 $$
    $$ df = u^\top dA\,v $$
    $$ \bar A = \bar f\,u v^\top $$
    $$ A v = f u, \quad A^\top u = f v $$
    """
    U, s, Vt = thin_svd(A)
    u, v = U[:, 0], Vt[0, :]

    def jvp(dA: Array) -> Array:
        return inner(u, dA @ v)

    def vjp(f_bar: Array) -> Array:
        return outer(f_bar * u, v)

    return Linearization(s[0], jvp, vjp)


@rule(RASMUSSEN_WILLIAMS, COOKBOOK.at("(131)"), X=real("n d"), Y=real("m d"))
def pairwise_squared_distances(X: Array, Y: Array) -> Linearization[Array]:
    r"""Squared distances between the rows of two matrices, by matrix products: no array has three axes.

    $$ D = (X \odot X) \mathbf 1 \mathbf 1^\top + \mathbf 1 \mathbf 1^\top (Y \odot Y)^\top - 2 X Y^\top $$
    $$ dD = 2 \left( (X \odot dX) \mathbf 1 \mathbf 1^\top + \mathbf 1 \mathbf 1^\top (Y \odot dY)^\top - dX\,Y^\top - X\,dY^\top \right) $$
    $$ \bar X = 2 \left( \operatorname{diag}(\bar D \mathbf 1) X - \bar D Y \right), \quad
       \bar Y = 2 \left( \operatorname{diag}(\bar D^\top \mathbf 1) Y - \bar D^\top X \right) $$
    """

    def jvp(dX: Array, dY: Array) -> Array:
        return 2 * (total(X * dX, axis=1)[:, None] + total(Y * dY, axis=1) - dX @ Y.mT - X @ dY.mT)

    def vjp(D_bar: Array) -> tuple[Array, Array]:
        X_bar = 2 * (total(D_bar, axis=1)[:, None] * X - D_bar @ Y)
        return X_bar, 2 * (total(D_bar, axis=0)[:, None] * Y - D_bar.mT @ X)

    return Linearization(total(X * X, axis=1)[:, None] + total(Y * Y, axis=1) - 2 * X @ Y.mT, jvp, vjp)
