"""Activations of neural networks: functions of one number, entry by entry."""

import math

from matcalc import array
from matcalc.array import Array, erfc, exp, inner, log, step, where
from matcalc.domain import nonzero, positive, real
from matcalc.rule import Linearization, rule
from matcalc.source import BISHOP, DEEP_LEARNING, ELFWING, HENDRYCKS_GIMPEL, NOTES


@rule(NOTES.at("N1.2"), NOTES.at("N2.4"), BISHOP, z=real("n"))
def sigmoid(z: Array) -> Linearization[Array]:
    r"""Logistic sigmoid of each entry, without overflow.

    $$ y = \frac{1}{1 + \exp(-z)} $$
    $$ dy = y \odot (1 - y) \odot dz $$
    $$ \bar z = y \odot (1 - y) \odot \bar y $$
    """
    y = array.sigmoid(z)

    def jvp(dz: Array) -> Array:
        return y * (1 - y) * dz

    return Linearization(y, jvp, vjp=jvp)


@rule(BISHOP, DEEP_LEARNING, z=real("n"))
def tanh(z: Array) -> Linearization[Array]:
    r"""Hyperbolic tangent of each entry.

    $$ y = \tanh(z) $$
    $$ dy = (1 - y \odot y) \odot dz $$
    $$ \bar z = (1 - y \odot y) \odot \bar y $$
    """
    y = array.tanh(z)

    def jvp(dz: Array) -> Array:
        return (1 - y * y) * dz

    return Linearization(y, jvp, vjp=jvp)


@rule(DEEP_LEARNING, z=real("n"))
def softplus(z: Array) -> Linearization[Array]:
    r"""log(1 + exp z) of each entry, without overflow; its derivative is the sigmoid.

    $$ y = \log(1 + \exp(z)) $$
    $$ dy = \sigma(z) \odot dz $$
    $$ \bar z = \sigma(z) \odot \bar y $$
    """

    def jvp(dz: Array) -> Array:
        return array.sigmoid(z) * dz

    return Linearization(array.softplus(z), jvp, vjp=jvp)


@rule(DEEP_LEARNING, z=real("n"))
def log_sigmoid(z: Array) -> Linearization[Array]:
    r"""Logarithm of the sigmoid of each entry, without overflow.

    $$ y = \log(\sigma(z)) $$
    $$ dy = \sigma(-z) \odot dz $$
    $$ \bar z = \sigma(-z) \odot \bar y $$
    """

    def jvp(dz: Array) -> Array:
        return array.sigmoid(-z) * dz

    return Linearization(-array.softplus(-z), jvp, vjp=jvp)


@rule(NOTES.at("N4.9"), z=real("n"))
def exp2(z: Array) -> Linearization[Array]:
    r"""Two to the power of each entry.

    $$ y = 2^z $$
    $$ dy = \log(2)\,y \odot dz $$
    $$ \bar z = \log(2)\,y \odot \bar y $$
    """
    y = exp(math.log(2) * z)

    def jvp(dz: Array) -> Array:
        return math.log(2) * y * dz

    return Linearization(y, jvp, vjp=jvp)


@rule(NOTES.at("N3.2"), DEEP_LEARNING, z=nonzero("n"))
def relu(z: Array) -> Linearization[Array]:
    r"""Positive part of each entry, away from its kink at zero (step is 1 for positive entries, 0 for negative ones).

    $$ y = \max(z, 0) $$
    $$ dy = \operatorname{step}(z) \odot dz $$
    $$ \bar z = \operatorname{step}(z) \odot \bar y $$
    """
    active = step(z > 0, z)

    def jvp(dz: Array) -> Array:
        return active * dz

    return Linearization(where(z > 0, z, 0.0), jvp, vjp=jvp)


@rule(HENDRYCKS_GIMPEL, z=real("n"))
def gelu(z: Array) -> Linearization[Array]:
    r"""Gaussian error linear unit of each entry, in its exact form with the normal distribution function.

    $$ y = z \odot c $$
    $$ dy = (c + z \odot f) \odot dz $$
    $$ \bar z = (c + z \odot f) \odot \bar y $$
    $$ c = \tfrac12 \operatorname{erfc}(-z / \sqrt{2}), \quad f = \frac{1}{\sqrt{2\pi}} \exp(-\tfrac12 z \odot z) $$
    """
    c = erfc(-z / math.sqrt(2)) / 2

    def jvp(dz: Array) -> Array:
        density = exp(-z * z / 2) / math.sqrt(2 * math.pi)
        return (c + z * density) * dz

    return Linearization(z * c, jvp, vjp=jvp)


@rule(ELFWING, HENDRYCKS_GIMPEL, z=real("n"))
def silu(z: Array) -> Linearization[Array]:
    r"""Each entry times its own sigmoid.

    $$ y = z \odot s $$
    $$ dy = \left( s + z \odot s \odot (1 - s) \right) \odot dz $$
    $$ \bar z = \left( s + z \odot s \odot (1 - s) \right) \odot \bar y $$
    $$ s = \sigma(z) $$
    """
    s = array.sigmoid(z)

    def jvp(dz: Array) -> Array:
        return (s + z * s * (1 - s)) * dz

    return Linearization(z * s, jvp, vjp=jvp)


@rule(DEEP_LEARNING, x=positive("n"), a=real())
def power(x: Array, a: Array) -> Linearization[Array]:
    r"""A common real power of each entry of a positive vector, as a function of the exponent too.

    $$ y = x^a $$
    $$ dy = a\,x^{a-1} \odot dx + y \odot \log(x)\,da $$
    $$ \bar x = a\,x^{a-1} \odot \bar y, \quad \bar a = \bar y^\top (y \odot \log(x)) $$
    """
    y = x**a

    def jvp(dx: Array, da: Array) -> Array:
        return a * y / x * dx + y * log(x) * da

    def vjp(y_bar: Array) -> tuple[Array, Array]:
        return a * y / x * y_bar, inner(y_bar, y * log(x))

    return Linearization(y, jvp, vjp)
