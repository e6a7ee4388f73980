"""Kernel matrices: a function of each pair of rows of X and Y."""

from matcalc.array import Array, concat, exp, inner, maximum, minimum, ones, sqrt, total
from matcalc.domain import positive, real
from matcalc.rule import Linearization, rule
from matcalc.source import BISHOP, MURPHY, RASMUSSEN_WILLIAMS
from matcalc_rules.norms import pairwise_squared_distances

BLOCK = 128
"The sum of a kernel matrix with more rows than this is formed in halves."


@rule(BISHOP, RASMUSSEN_WILLIAMS, X=real("n d"), Y=real("m d"), c=real())
def linear_kernel(X: Array, Y: Array, c: Array) -> Linearization[Array]:
    r"""Linear kernel with an offset.

    $$ K = X Y^\top + c \mathbf 1 \mathbf 1^\top $$
    $$ dK = dX\,Y^\top + X\,dY^\top + dc\,\mathbf 1 \mathbf 1^\top $$
    $$ \bar X = \bar K Y, \quad \bar Y = \bar K^\top X, \quad \bar c = \mathbf 1^\top \bar K \mathbf 1 $$
    """

    def jvp(dX: Array, dY: Array, dc: Array) -> Array:
        return dX @ Y.mT + X @ dY.mT + dc

    def vjp(K_bar: Array) -> tuple[Array, Array, Array]:
        return K_bar @ Y, K_bar.mT @ X, total(K_bar)

    return Linearization(X @ Y.mT + c, jvp, vjp)


@rule(BISHOP, RASMUSSEN_WILLIAMS, X=real("n d"), Y=real("m d"), c=real())
def polynomial_kernel(X: Array, Y: Array, c: Array) -> Linearization[Array]:
    r"""Polynomial kernel of degree three.

    $$ K = S \odot S \odot S $$
    $$ dK = 3 S \odot S \odot (dX\,Y^\top + X\,dY^\top + dc\,\mathbf 1 \mathbf 1^\top) $$
    $$ \bar X = G Y, \quad \bar Y = G^\top X, \quad \bar c = \mathbf 1^\top G \mathbf 1 $$
    $$ S = X Y^\top + c \mathbf 1 \mathbf 1^\top, \quad G = 3 S \odot S \odot \bar K $$
    """
    S = X @ Y.mT + c

    def jvp(dX: Array, dY: Array, dc: Array) -> Array:
        return 3 * S * S * (dX @ Y.mT + X @ dY.mT + dc)

    def vjp(K_bar: Array) -> tuple[Array, Array, Array]:
        G = 3 * S * S * K_bar
        return G @ Y, G.mT @ X, total(G)

    return Linearization(S * S * S, jvp, vjp)


@rule(RASMUSSEN_WILLIAMS, MURPHY, X=real("n d"), Y=real("m d"), gamma=positive())
def rbf_kernel(X: Array, Y: Array, gamma: Array) -> Linearization[Array]:
    r"""Gaussian (squared exponential) kernel of the squared distances D between rows, which come from one matrix product.

    $$ K = \exp(-\gamma D) $$
    $$ dK = -K \odot (\gamma\,dD + D\,d\gamma) $$
    $$ \bar X = -2 \gamma \left( \operatorname{diag}(G \mathbf 1) X - G Y \right), \quad
       \bar Y = -2 \gamma \left( \operatorname{diag}(G^\top \mathbf 1) Y - G^\top X \right), \quad
       \bar \gamma = -\operatorname{tr}(G^\top D) $$
    $$ D = (X \odot X) \mathbf 1 \mathbf 1^\top + \mathbf 1 \mathbf 1^\top (Y \odot Y)^\top - 2 X Y^\top, \quad G = K \odot \bar K $$
    $$ dD = 2 \left( (X \odot dX) \mathbf 1 \mathbf 1^\top + \mathbf 1 \mathbf 1^\top (Y \odot dY)^\top - dX\,Y^\top - X\,dY^\top \right) $$
    """
    distances = pairwise_squared_distances.linearize(X, Y)
    D = distances.value
    K = exp(-gamma * D)

    def jvp(dX: Array, dY: Array, dgamma: Array) -> Array:
        return -K * (gamma * distances.jvp(dX, dY) + D * dgamma)

    def vjp(K_bar: Array) -> tuple[Array, Array, Array]:
        G = K * K_bar
        X_bar, Y_bar = distances.vjp(-gamma * G)
        return X_bar, Y_bar, -inner(G, D)

    return Linearization(K, jvp, vjp)


@rule(RASMUSSEN_WILLIAMS, X=real("n d"), gamma=positive())
def rbf_kernel_sum(X: Array, gamma: Array) -> Linearization[Array]:
    r"""Sum of the Gaussian kernel matrix K of the rows of X with themselves, half of whose exponentials are computed.

    $$ s = \mathbf 1^\top K \mathbf 1 $$
    $$ ds = -4 \gamma \operatorname{tr}(F^\top dX) - 2 \operatorname{tr}(F^\top X)\,d\gamma $$
    $$ \bar X = -4 \gamma \bar s F, \quad \bar \gamma = -2 \bar s \operatorname{tr}(F^\top X) $$
    $$ D = (X \odot X) \mathbf 1 \mathbf 1^\top + \mathbf 1 \mathbf 1^\top (X \odot X)^\top - 2 X X^\top, \quad K = \exp(-\gamma D) $$
    $$ F = \operatorname{diag}(K \mathbf 1) X - K X $$
    """
    n, one = X.shape[0], ones((X.shape[0], 1), X)
    squares = gamma * total(X * X, axis=1, keepdims=True)
    ahead = concat([2 * gamma * X, -squares, one], axis=1)
    behind = concat([X, one, -squares], axis=1)
    weights = concat([X, one], axis=1)

    def moments(first: int, end: int) -> Array:
        """K times (X, 1) for the rows from first to end among themselves; each half meets the other once, for K is symmetric.

        No exponent is positive but by rounding, which in float32 far from the origin would be enough to overflow.
        """
        if end - first <= BLOCK:
            return exp(minimum(ahead[first:end, :] @ behind[first:end, :].mT, 0.0)) @ weights[first:end, :]
        middle = (first + end) // 2
        across = exp(minimum(ahead[first:middle, :] @ behind[middle:end, :].mT, 0.0))
        upper = moments(first, middle) + across @ weights[middle:end, :]
        return concat([upper, moments(middle, end) + across.mT @ weights[first:middle, :]])

    sums = moments(0, n)
    masses = sums[:, -1:]

    def forces() -> Array:
        return masses * X - sums[:, :-1]

    def jvp(dX: Array, dgamma: Array) -> Array:
        F = forces()
        return -4 * gamma * inner(F, dX) - 2 * inner(F, X) * dgamma

    def vjp(s_bar: Array) -> tuple[Array, Array]:
        F = forces()
        return -4 * gamma * s_bar * F, -2 * s_bar * inner(F, X)

    return Linearization(total(masses), jvp, vjp)


@rule(RASMUSSEN_WILLIAMS, X=real("n d>=1"), Y=real("m d>=1"), rho=positive())
def matern32_kernel(X: Array, Y: Array, rho: Array) -> Linearization[Array]:
    r"""Matérn kernel of smoothness 3/2 and length scale rho; its differential divides by no distance, so it holds for equal rows too.

    $$ K = (1 + R) \odot \exp(-R) $$
    $$ dK = \exp(-R) \odot \left( \tfrac{1}{\rho} (R \odot R)\,d\rho - \tfrac{3}{2 \rho^2} dD \right) $$
    $$ \bar X = 2 \left( \operatorname{diag}(\bar D \mathbf 1) X - \bar D Y \right), \quad
       \bar Y = 2 \left( \operatorname{diag}(\bar D^\top \mathbf 1) Y - \bar D^\top X \right), \quad
       \bar \rho = \tfrac{1}{\rho} \operatorname{tr}((R \odot R)^\top (\exp(-R) \odot \bar K)) $$
    $$ D = (X \odot X) \mathbf 1 \mathbf 1^\top + \mathbf 1 \mathbf 1^\top (Y \odot Y)^\top - 2 X Y^\top, \quad
       R = \tfrac{1}{\rho} \sqrt{3 D} $$
    $$ dD = 2 \left( (X \odot dX) \mathbf 1 \mathbf 1^\top + \mathbf 1 \mathbf 1^\top (Y \odot dY)^\top - dX\,Y^\top - X\,dY^\top \right) $$
    $$ \bar D = -\tfrac{3}{2 \rho^2} \exp(-R) \odot \bar K $$
    """
    distances = pairwise_squared_distances.linearize(X, Y)
    R = sqrt(3 * maximum(distances.value, 0.0)) / rho  # rounding may leave a distance of zero slightly negative
    decay = exp(-R)

    def jvp(dX: Array, dY: Array, drho: Array) -> Array:
        return decay * (R * R / rho * drho - 3 / (2 * rho * rho) * distances.jvp(dX, dY))

    def vjp(K_bar: Array) -> tuple[Array, Array, Array]:
        G = decay * K_bar
        X_bar, Y_bar = distances.vjp(-3 / (2 * rho * rho) * G)
        return X_bar, Y_bar, inner(R * R, G) / rho

    return Linearization((1 + R) * decay, jvp, vjp)
