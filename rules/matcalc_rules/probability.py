"""Log-densities, entropies and divergences."""

import math

from matcalc.array import (
    Array,
    cho_inverse,
    cho_solve,
    cholesky,
    diagonal,
    digamma,
    exp,
    inner,
    log,
    log1p,
    log_gamma,
    outer,
    solve_lower,
    total,
    trace,
)
from matcalc.domain import positive, positive_definite, real, simplex
from matcalc.rule import Linearization, rule
from matcalc.source import BISHOP, COOKBOOK, MINKA, MURPHY

LOG_TWO_PI = math.log(2 * math.pi)


@rule(COOKBOOK.at("(556)"), COOKBOOK.at("(558)"), BISHOP, x=real(), mu=real(), sigma=positive())
def gaussian_log_density_1d(x: Array, mu: Array, sigma: Array) -> Linearization[Array]:
    r"""Log-density of a normal distribution with mean mu and standard deviation sigma.

    $$ \ell = -\tfrac12 \log(2 \pi) - \log(\sigma) - \tfrac12 z^2 $$
    $$ d\ell = \tfrac{1}{\sigma} \left( z\,d\mu - z\,dx + (z^2 - 1)\,d\sigma \right) $$
    $$ \bar x = -\tfrac{1}{\sigma} \bar\ell z, \quad \bar \mu = \tfrac{1}{\sigma} \bar\ell z, \quad
       \bar \sigma = \tfrac{1}{\sigma} \bar\ell (z^2 - 1) $$
    $$ z = \tfrac{1}{\sigma} (x - \mu) $$
    """
    z = (x - mu) / sigma

    def jvp(dx: Array, dmu: Array, dsigma: Array) -> Array:
        return (z * (dmu - dx) + (z * z - 1) * dsigma) / sigma

    def vjp(l_bar: Array) -> tuple[Array, Array, Array]:
        mu_bar = l_bar * z / sigma
        return -mu_bar, mu_bar, l_bar * (z * z - 1) / sigma

    return Linearization(-LOG_TWO_PI / 2 - log(sigma) - z * z / 2, jvp, vjp)


@rule(BISHOP, MINKA, x=real("n"), mu=real("n"), Sigma=positive_definite("n"))
def gaussian_log_density(x: Array, mu: Array, Sigma: Array) -> Linearization[Array]:
    r"""Log-density of a multivariate normal distribution, by one Cholesky factorisation of its covariance.

    $$ \ell = -\tfrac12 n \log(2 \pi) - \tfrac12 \log\det \Sigma - \tfrac12 (x - \mu)^\top a $$
    $$ d\ell = a^\top (d\mu - dx) + \tfrac12 \operatorname{tr}((a a^\top - \Sigma^{-1})\,d\Sigma) $$
    $$ \bar x = -\bar\ell a, \quad \bar \mu = \bar\ell a, \quad \bar \Sigma = \tfrac12 \bar\ell (a a^\top - \Sigma^{-1}) $$
    $$ a = \Sigma^{-1} (x - \mu) $$
    """
    L = cholesky(Sigma)
    r = x - mu
    a = cho_solve(L, r)

    def jvp(dx: Array, dmu: Array, dSigma: Array) -> Array:
        return inner(a, dmu - dx) + (inner(a, dSigma @ a) - trace(cho_solve(L, dSigma))) / 2

    def vjp(l_bar: Array) -> tuple[Array, Array, Array]:
        mu_bar = l_bar * a
        return -mu_bar, mu_bar, l_bar / 2 * (outer(a, a) - cho_inverse(L))

    return Linearization(-x.shape[0] * LOG_TWO_PI / 2 - total(log(diagonal(L))) - inner(r, a) / 2, jvp, vjp)


@rule(BISHOP, MURPHY, Sigma=positive_definite("n"))
def gaussian_entropy(Sigma: Array) -> Linearization[Array]:
    r"""Entropy of a multivariate normal distribution, in nats.

    $$ h = \tfrac12 n (1 + \log(2 \pi)) + \tfrac12 \log\det \Sigma $$
    $$ dh = \tfrac12 \operatorname{tr}(\Sigma^{-1} d\Sigma) $$
    $$ \bar \Sigma = \tfrac12 \bar h \Sigma^{-1} $$
    """
    L = cholesky(Sigma)

    def jvp(dSigma: Array) -> Array:
        return trace(cho_solve(L, dSigma)) / 2

    def vjp(h_bar: Array) -> Array:
        return h_bar / 2 * cho_inverse(L)

    return Linearization(Sigma.shape[0] * (1 + LOG_TWO_PI) / 2 + total(log(diagonal(L))), jvp, vjp)


@rule(MURPHY, BISHOP, mu0=real("n"), Sigma0=positive_definite("n"), mu1=real("n"), Sigma1=positive_definite("n"))
def kl_gaussians(mu0: Array, Sigma0: Array, mu1: Array, Sigma1: Array) -> Linearization[Array]:
    r"""Kullback-Leibler divergence of a normal distribution (index 0) from another (index 1).

    $$ \ell = \tfrac12 \left( \operatorname{tr}(\Sigma_1^{-1} \Sigma_0) + r^\top a - n + \log\det \Sigma_1 - \log\det \Sigma_0 \right) $$
    $$ d\ell = a^\top (d\mu_1 - d\mu_0) + \operatorname{tr}(G_0\,d\Sigma_0) + \operatorname{tr}(G_1\,d\Sigma_1) $$
    $$ \bar \mu_0 = -\bar\ell a, \quad \bar \Sigma_0 = \bar\ell G_0, \quad \bar \mu_1 = \bar\ell a, \quad \bar \Sigma_1 = \bar\ell G_1 $$
    $$ r = \mu_1 - \mu_0, \quad a = \Sigma_1^{-1} r $$
    $$ G_0 = \tfrac12 (\Sigma_1^{-1} - \Sigma_0^{-1}), \quad
       G_1 = \tfrac12 (\Sigma_1^{-1} - \Sigma_1^{-1} \Sigma_0 \Sigma_1^{-1} - a a^\top) $$
    """
    L0, L1 = cholesky(Sigma0), cholesky(Sigma1)
    r = mu1 - mu0
    a = cho_solve(L1, r)
    M = solve_lower(L1, L0)

    def gradient() -> tuple[Array, Array]:
        inverse1 = cho_inverse(L1)
        N = solve_lower(L1, M, transpose=True)  # N Nᵀ is Σ₁⁻¹ Σ₀ Σ₁⁻¹
        return (inverse1 - cho_inverse(L0)) / 2, (inverse1 - N @ N.mT - outer(a, a)) / 2

    def jvp(dmu0: Array, dSigma0: Array, dmu1: Array, dSigma1: Array) -> Array:
        G0, G1 = gradient()
        return inner(a, dmu1 - dmu0) + inner(G0, dSigma0) + inner(G1, dSigma1)

    def vjp(l_bar: Array) -> tuple[Array, Array, Array, Array]:
        G0, G1 = gradient()
        return -l_bar * a, l_bar * G0, l_bar * a, l_bar * G1

    log_ratio = total(log(diagonal(L1)) - log(diagonal(L0)))
    return Linearization((inner(M, M) + inner(r, a) - mu0.shape[0]) / 2 + log_ratio, jvp, vjp)


@rule(MURPHY, p=simplex("n>=1"))
def entropy(p: Array) -> Linearization[Array]:
    r"""Entropy of a distribution on n outcomes, in nats; the gradient is given in the ambient space.

    $$ h = -p^\top \log(p) $$
    $$ dh = -(\log(p) + \mathbf 1)^\top dp $$
    $$ \bar p = -\bar h (\log(p) + \mathbf 1) $$
    """
    log_p = log(p)

    def jvp(dp: Array) -> Array:
        return -inner(log_p + 1, dp)

    def vjp(h_bar: Array) -> Array:
        return -h_bar * (log_p + 1)

    return Linearization(-inner(p, log_p), jvp, vjp)


@rule(BISHOP, MURPHY, x=simplex("n>=1"), alpha=positive("n>=1"))
def dirichlet_log_density(x: Array, alpha: Array) -> Linearization[Array]:
    r"""Log-density of a Dirichlet distribution, with the digamma function psi; the gradient in x is given in the ambient space.

    $$ \ell = \log(\Gamma(\mathbf 1^\top \alpha)) - \mathbf 1^\top \log(\Gamma(\alpha)) + (\alpha - \mathbf 1)^\top \log(x) $$
    $$ d\ell = ((\alpha - \mathbf 1) \oslash x)^\top dx + g^\top d\alpha $$
    $$ \bar x = \bar\ell ((\alpha - \mathbf 1) \oslash x), \quad \bar \alpha = \bar\ell\,g $$
    $$ g = \psi(\mathbf 1^\top \alpha) \mathbf 1 - \psi(\alpha) + \log(x) $$
    """
    log_x, mass = log(x), total(alpha)

    def gradient() -> Array:
        return digamma(mass) - digamma(alpha) + log_x

    def jvp(dx: Array, dalpha: Array) -> Array:
        return inner((alpha - 1) / x, dx) + inner(gradient(), dalpha)

    def vjp(l_bar: Array) -> tuple[Array, Array]:
        return l_bar * (alpha - 1) / x, l_bar * gradient()

    return Linearization(log_gamma(mass) - total(log_gamma(alpha)) + inner(alpha - 1, log_x), jvp, vjp)


@rule(MURPHY, y=positive("n"), eta=real("n"))
def poisson_log_likelihood(y: Array, eta: Array) -> Linearization[Array]:
    r"""Log-likelihood of Poisson counts y with log-rates eta, continued to all positive y by the gamma function.

    $$ \ell = y^\top \eta - \mathbf 1^\top \exp(\eta) - \mathbf 1^\top \log(\Gamma(y + \mathbf 1)) $$
    $$ d\ell = (\eta - \psi(y + \mathbf 1))^\top dy + (y - \exp(\eta))^\top d\eta $$
    $$ \bar y = \bar\ell (\eta - \psi(y + \mathbf 1)), \quad \bar \eta = \bar\ell (y - \exp(\eta)) $$
    """
    rate = exp(eta)

    def jvp(dy: Array, deta: Array) -> Array:
        return inner(eta - digamma(y + 1), dy) + inner(y - rate, deta)

    def vjp(l_bar: Array) -> tuple[Array, Array]:
        return l_bar * (eta - digamma(y + 1)), l_bar * (y - rate)

    return Linearization(inner(y, eta) - total(rate) - total(log_gamma(y + 1)), jvp, vjp)


@rule(MURPHY, x=real(), mu=real(), sigma=positive(), nu=positive())
def student_t_log_density(x: Array, mu: Array, sigma: Array, nu: Array) -> Linearization[Array]:
    r"""Log-density of Student's t distribution with location, scale and degrees of freedom, all three differentiated.

    $$ \ell = \log(\Gamma(\tfrac12 (\nu + 1))) - \log(\Gamma(\tfrac12 \nu)) - \tfrac12 \log(\nu \pi) - \log(\sigma)
             - \tfrac12 (\nu + 1) \log(1 + q) $$
    $$ d\ell = \tfrac{1}{\sigma} \left( w z (d\mu - dx) + (w z^2 - 1)\,d\sigma \right) + g\,d\nu $$
    $$ \bar x = -\tfrac{1}{\sigma} \bar\ell w z, \quad \bar \mu = \tfrac{1}{\sigma} \bar\ell w z, \quad
       \bar \sigma = \tfrac{1}{\sigma} \bar\ell (w z^2 - 1), \quad \bar \nu = \bar\ell g $$
    $$ z = \tfrac{1}{\sigma} (x - \mu), \quad q = \tfrac{1}{\nu} z^2, \quad w = \frac{\nu + 1}{\nu + z^2} $$
    $$ g = \tfrac12 \left( \psi(\tfrac12 (\nu + 1)) - \psi(\tfrac12 \nu) - \tfrac{1}{\nu} - \log(1 + q) + w q \right) $$
    """
    z = (x - mu) / sigma
    q = z * z / nu
    w = (nu + 1) / (nu + z * z)

    def nu_gradient() -> Array:
        return (digamma((nu + 1) / 2) - digamma(nu / 2) - 1 / nu - log1p(q) + w * q) / 2

    def jvp(dx: Array, dmu: Array, dsigma: Array, dnu: Array) -> Array:
        return (w * z * (dmu - dx) + (w * z * z - 1) * dsigma) / sigma + nu_gradient() * dnu

    def vjp(l_bar: Array) -> tuple[Array, Array, Array, Array]:
        mu_bar = l_bar * w * z / sigma
        return -mu_bar, mu_bar, l_bar * (w * z * z - 1) / sigma, l_bar * nu_gradient()

    normaliser = log_gamma((nu + 1) / 2) - log_gamma(nu / 2) - log(nu * math.pi) / 2 - log(sigma)
    return Linearization(normaliser - (nu + 1) / 2 * log1p(q), jvp, vjp)
