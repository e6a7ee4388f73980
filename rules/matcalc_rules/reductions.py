"""Reductions of a vector to a number, and scans."""

from matcalc.array import (
    Array,
    argsort,
    cumulative_sum,
    exp,
    flip,
    identity_like,
    inner,
    largest,
    log,
    mean,
    ones_like,
    outer,
    product,
    sqrt,
    step,
    take,
    total,
    where,
)
from matcalc.domain import distinct, positive, real
from matcalc.rule import Linearization, rule
from matcalc.source import BISHOP, BOYD, DEEP_LEARNING, MURPHY


@rule(BOYD, MURPHY, x=real("n>=1"))
def logsumexp(x: Array) -> Linearization[Array]:
    r"""Logarithm of a sum of exponentials, shifted by the largest entry so that nothing overflows.

    $$ f = \log(\mathbf 1^\top \exp(x)) $$
    $$ df = p^\top dx $$
    $$ \bar x = \bar f\,p $$
    $$ p = \exp(x - f \mathbf 1) $$
    """
    top = largest(x)
    e = exp(x - top)
    mass = total(e)

    def jvp(dx: Array) -> Array:
        return inner(e, dx) / mass

    def vjp(f_bar: Array) -> Array:
        return f_bar / mass * e

    return Linearization(top + log(mass), jvp, vjp)


@rule(MURPHY, x=real("n>=1"))
def log_mean_exp(x: Array) -> Linearization[Array]:
    r"""Logarithm of a mean of exponentials, shifted by the largest entry so that nothing overflows.

    $$ f = \log(\tfrac{1}{n} \mathbf 1^\top \exp(x)) $$
    $$ df = \tfrac{1}{n} \exp(x - f \mathbf 1)^\top dx $$
    $$ \bar x = \tfrac{1}{n} \bar f \exp(x - f \mathbf 1) $$
    """
    top = largest(x)
    e = exp(x - top)
    mass = total(e)

    def jvp(dx: Array) -> Array:
        return inner(e, dx) / mass

    def vjp(f_bar: Array) -> Array:
        return f_bar / mass * e

    return Linearization(top + log(mass / x.shape[0]), jvp, vjp)


@rule(BISHOP, x=real("n>=1"))
def arithmetic_mean(x: Array) -> Linearization[Array]:
    r"""Mean of the entries.

    $$ m = \tfrac{1}{n} \mathbf 1^\top x $$
    $$ dm = \tfrac{1}{n} \mathbf 1^\top dx $$
    $$ \bar x = \tfrac{1}{n} \bar m \mathbf 1 $$
    """

    def jvp(dx: Array) -> Array:
        return mean(dx)

    def vjp(m_bar: Array) -> Array:
        return m_bar / x.shape[0] * ones_like(x)

    return Linearization(mean(x), jvp, vjp)


@rule(BISHOP, x=real("n>=1"), w=positive("n>=1"))
def weighted_mean(x: Array, w: Array) -> Linearization[Array]:
    r"""Mean of the entries with positive weights, which need not sum to one.

    $$ m = \frac{w^\top x}{\mathbf 1^\top w} $$
    $$ dm = \frac{w^\top dx + (x - m \mathbf 1)^\top dw}{\mathbf 1^\top w} $$
    $$ \bar x = \frac{\bar m}{\mathbf 1^\top w} w, \quad \bar w = \frac{\bar m}{\mathbf 1^\top w} (x - m \mathbf 1) $$
    """
    mass = total(w)
    m = inner(w, x) / mass

    def jvp(dx: Array, dw: Array) -> Array:
        return (inner(w, dx) + inner(x - m, dw)) / mass

    def vjp(m_bar: Array) -> tuple[Array, Array]:
        return m_bar / mass * w, m_bar / mass * (x - m)

    return Linearization(m, jvp, vjp)


@rule(BISHOP, x=real("n>=1"))
def variance(x: Array) -> Linearization[Array]:
    r"""Variance of the entries, with divisor n; the mean's own dependence on x drops out, for deviations sum to zero.

    $$ v = \tfrac{1}{n} \|c\|^2 $$
    $$ dv = \tfrac{2}{n} c^\top dx $$
    $$ \bar x = \tfrac{2}{n} \bar v\,c $$
    $$ c = x - \tfrac{1}{n} \mathbf 1 \mathbf 1^\top x $$
    """
    n, c = x.shape[0], x - mean(x)

    def jvp(dx: Array) -> Array:
        return 2 * inner(c, dx) / n

    def vjp(v_bar: Array) -> Array:
        return 2 * v_bar / n * c

    return Linearization(inner(c, c) / n, jvp, vjp)


@rule(BISHOP, x=distinct("n>=2"))
def standard_deviation(x: Array) -> Linearization[Array]:
    r"""Standard deviation, with divisor n, of entries that are not all equal.

    $$ s = \sqrt{\tfrac{1}{n} \|c\|^2} $$
    $$ ds = \frac{1}{n s} c^\top dx $$
    $$ \bar x = \frac{\bar s}{n s} c $$
    $$ c = x - \tfrac{1}{n} \mathbf 1 \mathbf 1^\top x $$
    """
    n, c = x.shape[0], x - mean(x)
    s = sqrt(inner(c, c) / n)

    def jvp(dx: Array) -> Array:
        return inner(c, dx) / (n * s)

    def vjp(s_bar: Array) -> Array:
        return s_bar / (n * s) * c

    return Linearization(s, jvp, vjp)


@rule(BISHOP, X=real("n>=2 p"))
def covariance(X: Array) -> Linearization[Array]:
    r"""Sample covariance of the rows, with divisor n - 1.

    $$ S = \tfrac{1}{n-1} C^\top C $$
    $$ dS = \tfrac{1}{n-1} (dX^\top C + C^\top dX) $$
    $$ \bar X = \tfrac{1}{n-1} C (\bar S + \bar S^\top) $$
    $$ C = X - \tfrac{1}{n} \mathbf 1 \mathbf 1^\top X $$
    """
    n, C = X.shape[0], X - mean(X, axis=0)

    def jvp(dX: Array) -> Array:
        half = C.mT @ dX  # C is centred, so dX need not be
        return (half + half.mT) / (n - 1)

    def vjp(S_bar: Array) -> Array:
        return C @ (S_bar + S_bar.mT) / (n - 1)

    return Linearization(C.mT @ C / (n - 1), jvp, vjp)


@rule(BOYD, DEEP_LEARNING, x=distinct("n>=1"))
def maximum(x: Array) -> Linearization[Array]:
    r"""Largest entry of a vector without ties (e is 1 at the largest entry, 0 elsewhere).

    $$ f = \max(x) $$
    $$ df = e^\top dx $$
    $$ \bar x = \bar f\,e $$
    $$ e = \mathbf 1 - \operatorname{step}(f \mathbf 1 - x) $$
    """
    f = largest(x)
    e = step(x == f, x)

    def jvp(dx: Array) -> Array:
        return inner(e, dx)

    def vjp(f_bar: Array) -> Array:
        return f_bar * e

    return Linearization(f, jvp, vjp)


@rule(DEEP_LEARNING, x=real("n"))
def entry_product(x: Array) -> Linearization[Array]:
    r"""Product of all entries; the products without one entry are formed without a division, so zeros are welcome.

    $$ f = \prod_i x_i $$
    $$ df = g^\top dx $$
    $$ \bar x = \bar f\,g $$
    $$ g_i = \prod_{j \ne i} x_j $$
    """

    def gradient() -> Array:
        return product(where(identity_like(x) > 0, ones_like(outer(x, x)), x), axis=-1)

    def jvp(dx: Array) -> Array:
        return inner(gradient(), dx)

    def vjp(f_bar: Array) -> Array:
        return f_bar * gradient()

    return Linearization(product(x), jvp, vjp)


@rule(DEEP_LEARNING, x=real("n"))
def partial_sums(x: Array) -> Linearization[Array]:
    r"""Cumulative sum; its adjoint sums from the other end.

    $$ y = T x $$
    $$ dy = T\,dx $$
    $$ \bar x = T^\top \bar y $$
    $$ T = \operatorname{tril}(\mathbf 1 \mathbf 1^\top) $$
    """

    def jvp(dx: Array) -> Array:
        return cumulative_sum(dx)

    def vjp(y_bar: Array) -> Array:
        return flip(cumulative_sum(flip(y_bar)))

    return Linearization(cumulative_sum(x), jvp, vjp)


@rule(DEEP_LEARNING, x=distinct("n"))
def sorted_entries(x: Array) -> Linearization[Array]:
    r"""The entries of a vector without ties in ascending order: near x, the same permutation matrix P always.

    $$ y = \operatorname{sort}(x) $$
    $$ dy = P\,dx $$
    $$ \bar x = P^\top \bar y $$
    $$ y = P x $$
    """
    order = argsort(x)

    def jvp(dx: Array) -> Array:
        return take(dx, order)

    def vjp(y_bar: Array) -> Array:
        return take(y_bar, argsort(order))

    return Linearization(take(x, order), jvp, vjp)
