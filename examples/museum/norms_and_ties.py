"""Wrong gradients of norms and maxima: at ties, at zero, and at the edge of a ball.

The right ones: `maximum`, `max_gate`, `euclidean_norm`, `pairwise_squared_distances`, `unit_vector` of the catalogue.
"""

from issues import issue

from matcalc.array import Array, absolute, inner, largest, maximum, norm, sign, step, total, where, zeros_like
from matcalc.domain import real
from matcalc.rule import Linearization, rule


@rule(issue("pytorch/pytorch", 41779), x=real("n>=1"))
def infinity_norm(x: Array) -> Linearization[Array]:
    r"""Largest absolute value of the entries, the weights at a tie shared equally.

    $$ s = \max_i |x_i| $$
    $$ ds = \sum_i w_i \operatorname{sign}(x_i)\,dx_i, \quad w_i = [|x_i| = s] / \#\{j : |x_j| = s\} $$
    $$ \bar x_i = \bar s\,w_i \operatorname{sign}(x_i) $$

    pytorch #41779: every entry that attains the maximum got the whole gradient; where three do, the weights sum to three, and the
    result is no subgradient.
    """
    s = largest(absolute(x))
    g = sign(x) * step(absolute(x) == s, x)

    def jvp(dx: Array) -> Array:
        return inner(g, dx)

    def vjp(s_bar: Array) -> Array:
        return s_bar * g

    return Linearization(s, jvp, vjp)


@rule(issue("Theano/Theano", 4568), x=real("n"), y=real("n"))
def larger_of_two(x: Array, y: Array) -> Linearization[Array]:
    r"""The larger of two entries, the weights at a tie summing to one.

    $$ z = \max(x, y) $$
    $$ dz = w \odot dx + (1 - w) \odot dy, \quad w = [x > y] + \tfrac12 [x = y] $$
    $$ \bar x = w \odot \bar z, \quad \bar y = (1 - w) \odot \bar z $$

    Theano #4568: at a tie both inputs got the whole gradient, (1, 1).
    """
    first, second = 1 - step(x < y, x), 1 - step(y < x, y)

    def jvp(dx: Array, dy: Array) -> Array:
        return first * dx + second * dy

    def vjp(z_bar: Array) -> tuple[Array, Array]:
        return first * z_bar, second * z_bar

    return Linearization(maximum(x, y), jvp, vjp)


@rule(issue("pytorch/pytorch", 56734), x=real("n"), y=real("n"))
def larger_of_two_by_turns(x: Array, y: Array) -> Linearization[Array]:
    r"""The larger of two entries, the weights at a tie summing to one.

    $$ z = \max(x, y) $$
    $$ dz = w \odot dx + (1 - w) \odot dy, \quad w = [x > y] + \tfrac12 [x = y] $$
    $$ \bar x = w \odot \bar z, \quad \bar y = (1 - w) \odot \bar z $$

    pytorch #56734: functions that compute the same maximum settled a tie differently; here the differential gives it to x and the
    gradient to y.
    """
    forward, backward = 1 - step(x < y, x), step(x > y, x)

    def jvp(dx: Array, dy: Array) -> Array:
        return forward * dx + (1 - forward) * dy

    def vjp(z_bar: Array) -> tuple[Array, Array]:
        return backward * z_bar, (1 - backward) * z_bar

    return Linearization(maximum(x, y), jvp, vjp)


@rule(issue("pytorch/pytorch", 2421), x=real("n"))
def norm_anywhere(x: Array) -> Linearization[Array]:
    r"""Euclidean norm of any vector, with the subgradient 0 at zero.

    $$ s = \|x\| $$
    $$ ds = x^\top dx / \|x\| $$
    $$ \bar x = \bar s\,x / \|x\| $$

    pytorch #2421: at the zero vector the gradient was 0/0, not a number, where any vector of the unit ball would do.
    """
    s = norm(x)

    def jvp(dx: Array) -> Array:
        return inner(x, dx) / s

    def vjp(s_bar: Array) -> Array:
        return s_bar * x / s

    return Linearization(s, jvp, vjp)


@rule(issue("pytorch/pytorch", 37154), x=real("n"), y=real("n"))
def distance_anywhere(x: Array, y: Array) -> Linearization[Array]:
    r"""Euclidean distance of any two vectors, with the subgradient 0 where they coincide.

    $$ s = \|x - y\| $$
    $$ ds = (x - y)^\top (dx - dy) / s $$
    $$ \bar x = \bar s\,(x - y) / s, \quad \bar y = -\bar x $$

    pytorch #37154: the gradient of distances was not a number for two points that coincide.
    """
    s = norm(x - y)

    def jvp(dx: Array, dy: Array) -> Array:
        return inner(x - y, dx - dy) / s

    def vjp(s_bar: Array) -> tuple[Array, Array]:
        x_bar = s_bar * (x - y) / s
        return x_bar, -x_bar

    return Linearization(s, jvp, vjp)


@rule(issue("pytorch/pytorch", 59584), x=real("n"))
def renorm_with_branches_swapped(x: Array) -> Linearization[Array]:
    r"""The nearest vector of norm one at most: a vector outside of the unit ball is scaled onto it.

    $$ y = x / \max(1, \|x\|) $$
    $$ dy = (dx - y\,y^\top dx) / \|x\| \text{ where } \|x\| > 1, \quad dy = dx \text{ elsewhere} $$
    $$ \bar x = (\bar y - y\,y^\top \bar y) / \|x\| \text{ where } \|x\| > 1, \quad \bar x = \bar y \text{ elsewhere} $$

    pytorch #59584: the gradient was entirely wrong, its factors blended the wrong way round, and the fast gradcheck let it pass.
    """
    s = norm(x)
    y = x / maximum(s, 1.0)

    def jvp(dx: Array) -> Array:
        return where(s > 1, (dx - y * inner(y, dx)) / s, dx)

    def vjp(y_bar: Array) -> Array:
        return where(s > 1, y_bar, (y_bar - y * inner(y, y_bar)) / s)

    return Linearization(y, jvp, vjp)


@rule(issue("pytorch/pytorch", 80804), x=real("n"))
def renorm_to_nothing(x: Array) -> Linearization[Array]:
    r"""The nearest vector of norm zero at most, which is zero.

    $$ y = 0 \cdot x $$
    $$ dy = 0 $$
    $$ \bar x = 0 $$

    pytorch #80804: a vector within the ball is not scaled and hands its cotangent on; at zero, within a ball of radius zero, that
    made the gradient 1 where it is 0 like everywhere.
    """
    outside = norm(x) > 0

    def jvp(dx: Array) -> Array:
        return zeros_like(dx)

    def vjp(y_bar: Array) -> Array:
        return where(outside, zeros_like(y_bar), y_bar)

    return Linearization(zeros_like(x) * total(x), jvp, vjp)
