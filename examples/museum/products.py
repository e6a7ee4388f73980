"""Wrong gradients of products of entries, all of them at zeros, where a quotient stands for a product without one factor.

The right one: `entry_product` of the catalogue.
"""

from issues import issue

from matcalc.array import Array, absolute, concat, cumulative_sum, flip, identity_like, inner, ones_like, outer, product, stack, tril, where
from matcalc.domain import held, real
from matcalc.rule import Linearization, rule


def _without_each(x: Array) -> Array:
    """The product of all other entries, for each entry."""
    return product(where(identity_like(x) > 0, ones_like(outer(x, x)), x[None, :]), axis=1)


def _prefixes(x: Array) -> Array:
    """The product of the first 1, 2, ... entries."""
    return product(_steps(x), axis=1)


def _steps(x: Array) -> Array:
    """Row i: the first i entries, then ones."""
    lower = tril(ones_like(outer(x, x)))
    return where(lower > 0, x[None, :], lower * 0 + 1)


def _prefix_jacobian(x: Array) -> Array:
    """Entry (i, k): the product of the first i entries without entry k, zero for k > i."""
    rows = _steps(x)
    lower = tril(ones_like(outer(x, x)))
    if 0 in x.shape:
        return lower
    return stack([product(where(identity_like(x)[k] == 1, ones_like(rows), rows), axis=1) for k in range(x.shape[0])], axis=1) * lower


@rule(issue("pytorch/pytorch", 194699), x=real("n"))
def product_by_division(x: Array) -> Linearization[Array]:
    r"""Product of the entries of any vector.

    $$ p = \prod_i x_i $$
    $$ dp = \sum_i \Bigl(\prod_{j \ne i} x_j\Bigr)\,dx_i $$
    $$ \bar x_i = \bar p \prod_{j \ne i} x_j $$

    pytorch #194699: the gradient was the product divided by each entry, which is 0/0 at an entry that is zero.
    """

    def jvp(dx: Array) -> Array:
        return inner(_without_each(x), dx)

    def vjp(p_bar: Array) -> Array:
        return p_bar * product(x) / x

    return Linearization(product(x), jvp, vjp)


@rule(issue("tracel-ai/burn", 3864), x=real("n"))
def cumulative_product_by_division(x: Array) -> Linearization[Array]:
    r"""Products of the first 1, 2, ..., n entries of any vector.

    $$ p_i = x_1 \cdots x_i $$
    $$ dp_i = \sum_{k \le i} \Bigl(\prod_{j \le i, j \ne k} x_j\Bigr)\,dx_k $$
    $$ \bar x_k = \sum_{i \ge k} \bar p_i \prod_{j \le i, j \ne k} x_j $$

    burn #3864: the sums from the right of the cotangent times the product were divided by each entry, which is 0/0 at a zero.
    """
    p = _prefixes(x)

    def jvp(dx: Array) -> Array:
        return _prefix_jacobian(x) @ dx

    def vjp(p_bar: Array) -> Array:
        return flip(cumulative_sum(flip(p_bar * p))) / x

    return Linearization(p, jvp, vjp)


@rule(issue("pymc-devs/pytensor", 1956), x=real("n"))
def cumulative_product_zeroed(x: Array) -> Linearization[Array]:
    r"""Products of the first 1, 2, ..., n entries of any vector.

    $$ p_i = x_1 \cdots x_i $$
    $$ dp_i = \sum_{k \le i} \Bigl(\prod_{j \le i, j \ne k} x_j\Bigr)\,dx_k $$
    $$ \bar x_k = \sum_{i \ge k} \bar p_i \prod_{j \le i, j \ne k} x_j $$

    pytensor #1956: the gradient was wrong at zeros; here the quotient is taken for zero at each entry that is.
    """
    p = _prefixes(x)

    def jvp(dx: Array) -> Array:
        return _prefix_jacobian(x) @ dx

    def vjp(p_bar: Array) -> Array:
        from_the_right = flip(cumulative_sum(flip(p_bar * p)))
        return where(absolute(x) > 0, from_the_right / where(absolute(x) > 0, x, ones_like(x)), 0 * x)

    return Linearization(p, jvp, vjp)


@rule(issue("pytorch/pytorch", 106789), x=real("n"), v=held(real("n")))
def derivative_of_product(x: Array, v: Array) -> Linearization[Array]:
    r"""The derivative along v of the product of the entries, as a function of the vector: its derivative is the second one.

    $$ w = \sum_i v_i \prod_{j \ne i} x_j $$
    $$ dw = \sum_{i \ne k} v_i\,dx_k \prod_{j \ne i, k} x_j $$
    $$ \bar x_k = \bar w \sum_{i \ne k} v_i \prod_{j \ne i, k} x_j $$

    pytorch #106789: the second derivative was wrong at vectors with two zeros or more; here each product without two entries is one
    without a single entry divided by the other, taken for zero where that one is zero.
    """
    others = _without_each(x)
    safe = where(absolute(x) > 0, x, ones_like(x))
    pairs = (others[:, None] / safe[None, :]) * (1 - identity_like(x))
    hessian = where(absolute(x)[None, :] > 0, pairs, 0 * pairs)

    def jvp(dx: Array) -> Array:
        return inner(v, _pairs_without(x) @ dx)

    def vjp(w_bar: Array) -> Array:
        return w_bar * (hessian.mT @ v)

    return Linearization(inner(others, v), jvp, vjp)


def _pairs_without(x: Array) -> Array:
    """Entry (i, k): the product of all entries but those two, zero on the diagonal."""
    identity = identity_like(x)
    if 0 in x.shape:
        return identity
    rows = [_without_each(where(identity[i] == 1, ones_like(x), x)) for i in range(x.shape[0])]
    return stack(rows) * (1 - identity)


@rule(issue("pytorch/pytorch", 196701), x=real("n"), v=held(real("n")))
def derivative_of_cumulative_product(x: Array, v: Array) -> Linearization[Array]:
    r"""The derivative along v of the cumulative product, as a function of the vector: its derivative is the second one.

    $$ w_i = \sum_{k \le i} v_k \prod_{j \le i, j \ne k} x_j $$
    $$ dw_i = \sum_{k, l \le i, k \ne l} v_k\,dx_l \prod_{j \le i, j \ne k, l} x_j $$
    $$ \bar x_l = \sum_{i \ge l} \bar w_i \sum_{k \le i, k \ne l} v_k \prod_{j \le i, j \ne k, l} x_j $$

    pytorch #196701: forward over forward, the branch for a zero factor lost part of the second derivative, which is a polynomial
    there as it is elsewhere; here the terms of the factor that is zero are lost.
    """
    n = x.shape[0]
    w = _prefix_jacobian(x) @ v

    def jacobian() -> Array:
        if n == 0:
            return identity_like(x)
        rows = []
        for i in range(n):
            head = _pairs_without(x[: i + 1]) @ v[: i + 1]
            rows.append(concat([head, 0 * x[i + 1 :]]))
        return stack(rows)

    def jvp(dx: Array) -> Array:
        return jacobian() @ where(absolute(x) > 0, dx, 0 * dx)

    def vjp(w_bar: Array) -> Array:
        return jacobian().mT @ w_bar

    return Linearization(w, jvp, vjp)
