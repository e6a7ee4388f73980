"""Wrong derivatives of special functions: at one point, or where a part is too small to survive rounding.

The right ones: `softplus`, `logsumexp`, `partial_sums` of the catalogue.
"""

from issues import issue

from matcalc.array import (
    Array,
    absolute,
    cumulative_sum,
    digamma,
    exp,
    inner,
    largest,
    log,
    log_gamma,
    maximum,
    minimum,
    ones_like,
    outer,
    step,
    total,
    tril,
    where,
    zeros_like,
)
from matcalc.array import softplus as log_one_plus_exp
from matcalc.domain import interval, positive, real, scaled
from matcalc.rule import Linearization, rule

TERMS = 14
"Terms of a power series on (-1, 1), the last of which no longer matters in double precision."


def _bessel(x: Array, order: int) -> Array:
    """The modified Bessel function of order 0 or 1 by its power series, nested: the sum of (x/2)^(2k + order) / (k! (k + order)!)."""
    q = x * x / 4
    series = ones_like(x)
    for k in range(TERMS, 0, -1):
        series = 1 + q / (k * (k + order)) * series
    return series * x / 2 if order else series


@rule(issue("jax-ml/jax", 2107), x=real("n"))
def softplus_flat_at_zero(x: Array) -> Linearization[Array]:
    r"""Logarithm of 1 + exp(x), entry by entry.

    $$ y = \log(1 + e^x) $$
    $$ dy = \sigma(x) \odot dx $$
    $$ \bar x = \sigma(x) \odot \bar y $$

    jax #2107: at x = 0 the derivative was 0, where it is ½: it was put together from max(x, 0) and |x|, each of which has a kink there.
    """
    slope = step(x > 0, x) - exp(-absolute(x)) / (1 + exp(-absolute(x))) * (step(x > 0, x) - step(x < 0, x))

    def jvp(dx: Array) -> Array:
        return slope * dx

    def vjp(y_bar: Array) -> Array:
        return slope * y_bar

    return Linearization(log_one_plus_exp(x), jvp, vjp)


@rule(issue("jax-ml/jax", 40627), x=interval(-1, 1, "n"))
def bessel_i0_flat_at_zero(x: Array) -> Linearization[Array]:
    r"""Modified Bessel function of order zero, whose derivative is the one of order one.

    $$ y = I_0(x) $$
    $$ dy = I_1(x) \odot dx $$
    $$ \bar x = I_1(x) \odot \bar y $$

    jax #40627: at zero the derivative was set to the constant zero; it is zero there, but its own derivative is ½.
    """
    slope = where(absolute(x) > 0, _bessel(x, 1), zeros_like(x))

    def jvp(dx: Array) -> Array:
        return slope * dx

    def vjp(y_bar: Array) -> Array:
        return slope * y_bar

    return Linearization(_bessel(x, 0), jvp, vjp)


@rule(issue("jax-ml/jax", 34353), a=positive("n"), b=positive("n"))
def log_beta_by_order(a: Array, b: Array) -> Linearization[Array]:
    r"""Logarithm of the beta function.

    $$ \ell = \log\Gamma(a) + \log\Gamma(b) - \log\Gamma(a + b) $$
    $$ d\ell = (\psi(a) - \psi(a + b)) \odot da + (\psi(b) - \psi(a + b)) \odot db $$
    $$ \bar a = \bar\ell \odot (\psi(a) - \psi(a + b)), \quad \bar b = \bar\ell \odot (\psi(b) - \psi(a + b)) $$

    jax #34353: the smaller and the larger argument were told apart by min and max, whose derivatives at a = b are halves: the first
    derivative is right there, by symmetry, and the second has the wrong sign.
    """
    low, high = minimum(a, b), maximum(a, b)

    def slopes() -> tuple[Array, Array]:
        at_low, at_high = digamma(low) - digamma(low + high), digamma(high) - digamma(low + high)
        to_a = step(a < b, a) + step(a == b, a) / 2
        return to_a * at_low + (1 - to_a) * at_high, (1 - to_a) * at_low + to_a * at_high

    def jvp(da: Array, db: Array) -> Array:
        at_a, at_b = slopes()
        return at_a * da + at_b * db

    def vjp(l_bar: Array) -> tuple[Array, Array]:
        at_a, at_b = slopes()
        return l_bar * at_a, l_bar * at_b

    return Linearization(log_gamma(low) + log_gamma(high) - log_gamma(low + high), jvp, vjp)


@rule(issue("jax-ml/jax", 22398), a=real("n"), b=real("n"))
def weighted_logsumexp(a: Array, b: Array) -> Linearization[Array]:
    r"""Logarithm of the absolute value of a weighted sum of exponentials.

    $$ s = \log \Bigl| \sum_i b_i e^{a_i} \Bigr| $$
    $$ ds = \sum_i (b_i\,da_i + db_i)\,e^{a_i} \Big/ \sum_i b_i e^{a_i} $$
    $$ \bar a_i = \bar s\,b_i e^{a_i} \Big/ \sum_j b_j e^{a_j}, \quad \bar b_i = \bar s\,e^{a_i} \Big/ \sum_j b_j e^{a_j} $$

    jax #22398: terms of weight zero were masked out, and with them the derivative with respect to the weight, which is not zero.
    """
    masked = where(absolute(b) > 0, exp(a), zeros_like(a))
    z = total(b * exp(a))

    def jvp(da: Array, db: Array) -> Array:
        return inner(masked, b * da + db) / z

    def vjp(s_bar: Array) -> tuple[Array, Array]:
        return s_bar * b * masked / z, s_bar * masked / z

    return Linearization(log(absolute(z)), jvp, vjp)


@rule(issue("pytorch/pytorch", 196705), x=scaled(20.0, real("n>=1")))
def cumulative_logsumexp(x: Array) -> Linearization[Array]:
    r"""Log-sum-exp of the first 1, 2, ..., n entries.

    $$ y_i = \log \sum_{j \le i} e^{x_j} $$
    $$ dy_i = \sum_{j \le i} e^{x_j - y_i}\,dx_j $$
    $$ \bar x_j = \sum_{i \ge j} e^{x_j - y_i}\,\bar y_i $$

    pytorch #196705: the differential scaled all sums by the largest entry of all, and guarded their quotient by 1e-13; sums of
    entries far below the largest one are lost beside it.
    """
    lower = tril(ones_like(outer(x, x)))
    reach = largest(where(lower > 0, x[None, :], lower * 0 - float("inf")), axis=1)
    y = reach + log(total(exp(where(lower > 0, x[None, :] - reach[:, None], lower * 0 - float("inf"))), axis=1))

    def jvp(dx: Array) -> Array:
        e = exp(x - largest(x))
        return cumulative_sum(e * dx) / (cumulative_sum(e) + 1e-13)

    def vjp(y_bar: Array) -> Array:
        weights = exp(where(lower > 0, x[None, :] - y[:, None], lower * 0 - float("inf")))
        return weights.mT @ y_bar

    return Linearization(y, jvp, vjp)
