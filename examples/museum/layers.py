"""Wrong derivatives of layers and densities. The right ones: `layer_norm` and `gaussian_log_density` of the catalogue."""

from math import log as log_of
from math import pi

from issues import issue

from matcalc.array import Array, cho_inverse, cho_solve, cholesky, diagonal, inner, log, mean, outer, sqrt, total
from matcalc.domain import held, positive_definite, real
from matcalc.rule import Linearization, rule

EPSILON = 0.25
"What is added to the variance; large, as in the report."


@rule(issue("pytorch/pytorch", 196700), x=real("n>=2"), v=held(real("n")))
def derivative_of_layer_norm(x: Array, v: Array) -> Linearization[Array]:
    r"""The derivative of layer normalisation along v, as a function of the layer's input: its derivative is the second one.

    $$ w = \rho\,(P v - c\,z), \quad z = \rho\,P x, \quad \rho = (\operatorname{var}(x) + \epsilon)^{-1/2}, \quad
       c = \operatorname{mean}(z \odot P v) $$
    $$ dw = d\rho\,(P v - c\,z) - \rho\,(dc\,z + c\,dz), \quad dz = d\rho\,P x + \rho\,P dx, \quad
       d\rho = -\rho^2 \operatorname{mean}(z \odot P dx), \quad dc = \operatorname{mean}(dz \odot P v) $$
    $$ \bar x = P (\rho\,\bar z - \rho^2 \bar\rho\,z / n), \quad \bar z = -\rho\,(c\,\bar w + \bar w^\top z\,P v / n), \quad
       \bar\rho = \bar w^\top (P v - c\,z) + \bar z^\top P x $$

    pytorch #196700: forward over forward, the mean and the scale ρ saved with the value were taken for constants; in the report the
    second derivative came out with the opposite sign. P takes the mean off.
    """
    n = x.shape[0]
    centred, direction = x - mean(x), v - mean(v)
    rho = 1 / sqrt(mean(centred * centred) + EPSILON)
    z = rho * centred
    c = mean(z * direction)

    def jvp(dx: Array) -> Array:
        dz = rho * dx
        return -rho * (mean(dz * direction) * z + c * dz)

    def vjp(w_bar: Array) -> Array:
        z_bar = -rho * (c * w_bar + inner(w_bar, z) * direction / n)
        rho_bar = inner(w_bar, direction - c * z) + inner(z_bar, centred)
        x_bar = rho * z_bar - rho * rho * rho_bar * z / n
        return x_bar - mean(x_bar)

    return Linearization(rho * (direction - c * z), jvp, vjp)


@rule(issue("HIPS/autograd", 401), x=real("n"), mu=real("n"), Sigma=positive_definite("n"))
def gaussian_of_flipped_sign(x: Array, mu: Array, Sigma: Array) -> Linearization[Array]:
    r"""Log-density of a multivariate Gaussian.

    $$ \ell = -\tfrac12 (d^\top \Sigma^{-1} d + \log\det\Sigma + n \log 2\pi), \quad d = x - \mu $$
    $$ d\ell = -g^\top (dx - d\mu) + \tfrac12 (g^\top d\Sigma\,g - \operatorname{tr}(\Sigma^{-1} d\Sigma)), \quad g = \Sigma^{-1} d $$
    $$ \bar x = -\bar\ell\,g, \quad \bar\mu = \bar\ell\,g, \quad \bar\Sigma = \tfrac12 \bar\ell\,(g g^\top - \Sigma^{-1}) $$

    HIPS/autograd #401: the gradient with respect to the covariance had the wrong sign, and a typo kept its tests from running.
    """
    n = x.shape[0]
    L = cholesky(Sigma)
    g = cho_solve(L, x - mu)

    def jvp(dx: Array, dmu: Array, dSigma: Array) -> Array:
        return -inner(g, dx - dmu) + (inner(g, dSigma @ g) - inner(cho_inverse(L), dSigma)) / 2

    def vjp(l_bar: Array) -> tuple[Array, Array, Array]:
        return -l_bar * g, l_bar * g, l_bar * (cho_inverse(L) - outer(g, g)) / 2

    return Linearization(-(inner(x - mu, g) + 2 * total(log(diagonal(L))) + n * log_of(2 * pi)) / 2, jvp, vjp)
