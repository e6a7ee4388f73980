"""Functions whose derivative is wrong in a released JAX or PyTorch. The derivatives written here are right.

On arrays of the framework in question the value is what the framework's own word computes, so that

    matcalc verify examples/frameworks/faults.py --subject jax
    matcalc verify examples/frameworks/faults.py --subject torch

judge the derivative it has for that word. On all other arrays it is computed by matcalc's words.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

from matcalc.array import (
    Array,
    absolute,
    cho_inverse,
    det,
    eigh,
    exp,
    identity_like,
    inner,
    inv,
    inv_lower,
    kind,
    log,
    ones_like,
    solve_lower,
    sym,
    total,
    trace,
    tril,
    triu,
    where,
)
from matcalc.array import cholesky as cholesky_factor
from matcalc.domain import Domain, PositiveDefinite, UpperTriangular, held, interval, invertible, lower_triangular, real, symmetric
from matcalc.rule import Linearization, rule
from matcalc.source import Source

TERMS = 14
"Terms of a power series on (-1, 1), the last of which no longer matters in double precision."


def issue(repository: str, number: int) -> Source:
    """The issue of that number."""
    return Source(repository, 2026, "as read in that year", "GitHub", f"https://github.com/{repository}/issues/{number}", f"#{number}")


def _jax(name: str) -> Any:
    """A module of JAX's."""
    return import_module(f"jax.{name}")


# --- JAX -------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class UpperHalf(UpperTriangular):
    """Upper triangles of positive definite matrices; zeros below the diagonal, which nothing reads."""

    word: ClassVar[str] = "upper half of a positive definite"

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        """The upper triangle of a positive definite matrix."""
        return triu(PositiveDefinite(self.dims).point(noise, spread))

    def reach(self, point: Any, tangent: Any) -> float:
        """How far the whole matrix stays positive definite."""
        return PositiveDefinite(self.dims).reach(_whole(point), _whole(tangent))

    def special(self, noise: Any) -> dict[str, Any]:
        """The upper triangles of special positive definite matrices."""
        return {kind_: triu(K) for kind_, K in PositiveDefinite(self.dims).special(noise).items()}


def _whole(R: Array) -> Array:
    """The symmetric matrix of which the upper triangle is given."""
    return triu(R) + triu(R, 1).mT


def upper_half(n: str) -> Domain:
    """Upper triangles of positive definite matrices."""
    return UpperHalf(symmetric(n).dims)


@rule(issue("jax-ml/jax", 40421), T=upper_half("n"))
def cholesky_of_upper_half(T: Array) -> Linearization[Array]:
    r"""Upper triangular Cholesky factor of a positive definite matrix whose upper half is given.

    $$ R^\top R = T + T^\top - \operatorname{diag}(T) $$
    $$ dR = \Phi(R^{-\top} (dT + dT^\top - \operatorname{diag}(dT))\,R^{-1})^\top R $$
    $$ \bar T = \operatorname{triu}(2 S) - \operatorname{diag}(S), \quad
       S = \operatorname{sym}(R^{-1} \Phi(R \bar R^\top)\,R^{-\top}) $$

    jax #40421: the gradient of cholesky(lower=False) has entries below the diagonal, where nothing is read.
    """
    L = cholesky_factor(_whole(T))
    R = _jax("scipy.linalg").cholesky(T, lower=False) if kind(T) == "JAX" else L.mT

    def half(X: Array) -> Array:
        return tril(X) - identity_like(X) * X / 2

    def jvp(dT: Array) -> Array:
        return (L @ half(solve_lower(L, solve_lower(L, _whole(dT)).mT).mT)).mT

    def vjp(R_bar: Array) -> Array:
        S = sym(solve_lower(L, solve_lower(L, half(L.mT @ R_bar.mT), transpose=True).mT, transpose=True))
        return triu(2 * S) - identity_like(S) * S

    return Linearization(R, jvp, vjp)


@rule(issue("jax-ml/jax", 37633), a=real("n"), b=real("n"))
def weighted_logsumexp(a: Array, b: Array) -> Linearization[Array]:
    r"""Logarithm of the absolute value of a weighted sum of exponentials.

    $$ s = \log \Bigl| \sum_i b_i e^{a_i} \Bigr| $$
    $$ ds = \sum_i (b_i\,da_i + db_i)\,e^{a_i} \Big/ \sum_i b_i e^{a_i} $$
    $$ \bar a_i = \bar s\,b_i e^{a_i} \Big/ \sum_j b_j e^{a_j}, \quad \bar b_i = \bar s\,e^{a_i} \Big/ \sum_j b_j e^{a_j} $$

    jax #37633: logsumexp(a, b=b) has the derivative zero with respect to a weight that is zero.
    """
    z = total(b * exp(a))

    def jvp(da: Array, db: Array) -> Array:
        return inner(exp(a), b * da + db) / z

    def vjp(s_bar: Array) -> tuple[Array, Array]:
        return s_bar * b * exp(a) / z, s_bar * exp(a) / z

    if kind(a) == "JAX":
        return Linearization(_jax("scipy.special").logsumexp(a, b=b, return_sign=True)[0], jvp, vjp)
    return Linearization(log(absolute(z)), jvp, vjp)


def _bessel(x: Array, order: int) -> Array:
    """The modified Bessel function of order 0 or 1 by its power series, the sum of (x/2)^(2k + order) / (k! (k + order)!)."""
    q = x * x / 4
    series = ones_like(x)
    for k in range(TERMS, 0, -1):
        series = 1 + q / (k * (k + order)) * series
    return series * x / 2 if order else series


@rule(issue("jax-ml/jax", 40627), x=interval(-1, 1, "n"))
def bessel_i0(x: Array) -> Linearization[Array]:
    r"""Modified Bessel function of order zero, whose derivative is the one of order one.

    $$ y = I_0(x) $$
    $$ dy = I_1(x) \odot dx $$
    $$ \bar x = I_1(x) \odot \bar y $$

    jax #40627: the second derivative at zero is 0; it is ½.
    """
    slope = _bessel(x, 1)

    def jvp(dx: Array) -> Array:
        return slope * dx

    def vjp(y_bar: Array) -> Array:
        return slope * y_bar

    return Linearization(_jax("numpy").i0(x) if kind(x) == "JAX" else _bessel(x, 0), jvp, vjp)


@rule(Source("JAX", 2026, "derivative rule of linalg.eigh"), S=symmetric("n"))
def gradient_of_squared_eigenvalues(S: Array) -> Linearization[Array]:
    r"""The gradient of the sum of the squared eigenvalues of a symmetric matrix: its derivative is the second one of the sum.

    $$ G = \nabla \sum_i \lambda_i^2 = 2 S $$
    $$ dG = 2\,dS $$
    $$ \bar S = 2\,\bar G $$

    JAX's derivative of its own gradient is not a number where eigenvalues coincide.
    """

    def jvp(dS: Array) -> Array:
        return 2 * dS

    def vjp(G_bar: Array) -> Array:
        return 2 * G_bar

    if kind(S) == "JAX":
        return Linearization(import_module("jax").grad(lambda A: total(eigh(A)[0] ** 2))(S), jvp, vjp)
    return Linearization(2 * S, jvp, vjp)


# --- PyTorch ---------------------------------------------------------------------------------------------------------------------


@rule(issue("pytorch/pytorch", 104675), X=real("n n"))
def det_of_any_matrix(X: Array) -> Linearization[Array]:
    r"""Determinant of any square matrix.

    $$ f = \det X $$
    $$ df = \operatorname{tr}(\operatorname{adj}(X)\,dX) $$
    $$ \bar X = \bar f\,\operatorname{adj}(X)^\top $$

    pytorch #104675: where the matrix has rank n - 1 the gradient is zero.
    """
    columns = identity_like(X)
    n = X.shape[-1]

    def jvp(dX: Array) -> Array:
        return sum((det(where(columns[j] == 1, dX, X)) for j in range(n)), 0 * det(X))

    def vjp(f_bar: Array) -> Array:
        cofactors = 0 * X
        for i in range(n):
            for j in range(n):
                entry = columns[i][:, None] * columns[j][None, :]
                cofactors = cofactors + entry * det(where(columns[j] == 1, entry, X))
        return f_bar * cofactors

    return Linearization(det(X), jvp, vjp)


@rule(issue("pytorch/pytorch", 196682), L=lower_triangular("n"))
def inverse_from_cholesky(L: Array) -> Linearization[Array]:
    r"""Inverse of the matrix whose Cholesky factor is given.

    $$ X = (L L^\top)^{-1} $$
    $$ dX = -(Y + Y^\top), \quad Y = X\,dL\,L^{-1} $$
    $$ \bar L = -\operatorname{tril}(X (\bar X + \bar X^\top)\,L^{-\top}) $$

    pytorch #196682: in forward mode, two factors of torch.cholesky_inverse's derivative stand in the wrong order.
    """
    X = import_module("torch").cholesky_inverse(L) if kind(L) == "PyTorch" else cho_inverse(L)

    def jvp(dL: Array) -> Array:
        Y = X @ dL @ inv_lower(L)
        return -Y - Y.mT

    def vjp(X_bar: Array) -> Array:
        return -tril(X @ (X_bar + X_bar.mT) @ inv_lower(L).mT)

    return Linearization(X, jvp, vjp)


@rule(issue("pytorch/pytorch", 192540), X=invertible("n"), V=held(real("n n")))
def derivative_of_det(X: Array, V: Array) -> Linearization[Array]:
    r"""The derivative of the determinant along V, as a function of the matrix: its derivative is the second one of det.

    $$ w = \det(X) \operatorname{tr}(X^{-1} V) $$
    $$ dw = \det(X) (\operatorname{tr}(X^{-1} dX) \operatorname{tr}(X^{-1} V) - \operatorname{tr}(X^{-1} dX\,X^{-1} V)) $$
    $$ \bar X = \bar w \det(X) (\operatorname{tr}(X^{-1} V)\,X^{-1} - X^{-1} V X^{-1})^\top $$

    pytorch #192540: forward over forward, PyTorch loses the last term.
    """
    Y = inv(X)
    f, t = det(X), trace(Y @ V)
    w = import_module("torch").func.jvp(det, (X,), (V,))[1] if kind(X) == "PyTorch" else f * t

    def jvp(dX: Array) -> Array:
        return f * (trace(Y @ dX) * t - trace(Y @ dX @ Y @ V))

    def vjp(w_bar: Array) -> Array:
        return (w_bar * f) * (t * Y - Y @ V @ Y).mT

    return Linearization(w, jvp, vjp)
