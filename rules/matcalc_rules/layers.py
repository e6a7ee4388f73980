"""Layers of neural networks; the rows of a matrix are samples (or positions of a sequence)."""

import math
from collections.abc import Callable

from matcalc.array import Array, concat, diag, exp, inner, largest, log, mean, outer, sigmoid, sqrt, stack, total, zeros
from matcalc.domain import real
from matcalc.rule import Linearization, rule
from matcalc.source import BA, BISHOP, DEEP_LEARNING, IOFFE_SZEGEDY, NOTES, VASWANI, ZHANG_SENNRICH

EPSILON = 1e-5
"What is added to a variance before it divides, in every layer that normalises."


@rule(NOTES.at("N1.8"), BISHOP.at("(4.106)"), z=real("n>=1"))
def softmax(z: Array) -> Linearization[Array]:
    r"""Softmax of a vector. Its Jacobian is symmetric, so the differential is its own adjoint.

    $$ p = \frac{\exp(z)}{\mathbf 1^\top \exp(z)} $$
    $$ dp = J\,dz $$
    $$ \bar z = J\,\bar p $$
    $$ J = \operatorname{diag}(p) - p p^\top $$
    """
    e = exp(z - largest(z))
    p = e / total(e)

    def jvp(dz: Array) -> Array:
        return p * (dz - inner(p, dz))

    def jacobian() -> Array:
        return diag(p) - outer(p, p)

    return Linearization(p, jvp, vjp=jvp, jacobian=jacobian)


@rule(NOTES.at("N1.8"), BISHOP.at("(4.106)"), Z=real("n m>=1"))
def softmax_rows(Z: Array) -> Linearization[Array]:
    r"""Softmax of each row of a matrix.

    $$ P = \operatorname{diag}(\exp(Z) \mathbf 1)^{-1} \exp(Z) $$
    $$ dP = P \odot \left( dZ - (P \odot dZ) \mathbf 1 \mathbf 1^\top \right) $$
    $$ \bar Z = P \odot \left( \bar P - (P \odot \bar P) \mathbf 1 \mathbf 1^\top \right) $$
    """
    E = exp(Z - largest(Z, axis=1, keepdims=True))
    mass = total(E, axis=1, keepdims=True)
    P = E / mass

    def jvp(dZ: Array) -> Array:
        return P * (dZ - total(E * dZ, axis=1, keepdims=True) / mass)  # E, lest a compiler divide all of E again to sum

    return Linearization(P, jvp, vjp=jvp)


@rule(NOTES.at("N1.9"), DEEP_LEARNING, z=real("n>=1"))
def log_softmax(z: Array) -> Linearization[Array]:
    r"""Logarithm of the softmax of a vector, without overflow.

    $$ y = z - \log(\mathbf 1^\top \exp(z)) \mathbf 1 $$
    $$ dy = dz - (p^\top dz) \mathbf 1 $$
    $$ \bar z = \bar y - (\mathbf 1^\top \bar y) p $$
    $$ p = \exp(y) $$
    """
    shifted = z - largest(z)
    y = shifted - log(total(exp(shifted)))

    def jvp(dz: Array) -> Array:
        return dz - inner(exp(y), dz)

    def vjp(y_bar: Array) -> Array:
        return y_bar - total(y_bar) * exp(y)

    return Linearization(y, jvp, vjp)


def _standardise(X: Array, axis: int) -> tuple[Array, Callable[[Array], Array]]:
    """X with mean 0 and variance about 1 along an axis, and its differential there, which is its own adjoint."""
    C = X - mean(X, axis=axis, keepdims=True)
    inverse_scale = 1 / sqrt(mean(C * C, axis=axis, keepdims=True) + EPSILON)
    Z = C * inverse_scale

    def differential(V: Array) -> Array:
        return inverse_scale * (V - mean(V, axis=axis, keepdims=True) - Z * mean(Z * V, axis=axis, keepdims=True))

    return Z, differential


@rule(BA, X=real("n p>=1"), gamma=real("p"), beta=real("p"))
def layer_norm(X: Array, gamma: Array, beta: Array) -> Linearization[Array]:
    r"""Layer normalisation of each row over its features, with gain and bias; mean and variance are functions of X.

    $$ Y = Z \operatorname{diag}(\gamma) + \mathbf 1 \beta^\top $$
    $$ dY = S \left( dX - \tfrac{1}{p} dX\,\mathbf 1 \mathbf 1^\top - \tfrac{1}{p} \operatorname{diag}((Z \odot dX) \mathbf 1) Z \right)
            \operatorname{diag}(\gamma) + Z \operatorname{diag}(d\gamma) + \mathbf 1\,d\beta^\top $$
    $$ \bar X = S \left( G - \tfrac{1}{p} G \mathbf 1 \mathbf 1^\top - \tfrac{1}{p} \operatorname{diag}((Z \odot G) \mathbf 1) Z \right),
       \quad \bar \gamma = (Z \odot \bar Y)^\top \mathbf 1, \quad \bar \beta = \bar Y^\top \mathbf 1 $$
    $$ C = X - \tfrac{1}{p} X \mathbf 1 \mathbf 1^\top, \quad Z = S C, \quad G = \bar Y \operatorname{diag}(\gamma) $$
    $$ S = \operatorname{diag}\left(\sqrt{\tfrac{1}{p} (C \odot C) \mathbf 1 + 10^{-5} \mathbf 1}\right)^{-1} $$
    """
    Z, differential = _standardise(X, axis=1)

    def jvp(dX: Array, dgamma: Array, dbeta: Array) -> Array:
        return differential(dX) * gamma + Z * dgamma + dbeta

    def vjp(Y_bar: Array) -> tuple[Array, Array, Array]:
        return differential(Y_bar * gamma), total(Z * Y_bar, axis=0), total(Y_bar, axis=0)

    return Linearization(Z * gamma + beta, jvp, vjp)


@rule(IOFFE_SZEGEDY, X=real("n>=1 p"), gamma=real("p"), beta=real("p"))
def batch_norm(X: Array, gamma: Array, beta: Array) -> Linearization[Array]:
    r"""Batch normalisation of each feature over the rows (as in training), with gain and bias.

    $$ Y = Z \operatorname{diag}(\gamma) + \mathbf 1 \beta^\top $$
    $$ dY = \left( dX - \tfrac{1}{n} \mathbf 1 \mathbf 1^\top dX - \tfrac{1}{n} Z \operatorname{diag}((Z \odot dX)^\top \mathbf 1) \right)
            S \operatorname{diag}(\gamma) + Z \operatorname{diag}(d\gamma) + \mathbf 1\,d\beta^\top $$
    $$ \bar X = \left( G - \tfrac{1}{n} \mathbf 1 \mathbf 1^\top G
            - \tfrac{1}{n} Z \operatorname{diag}((Z \odot G)^\top \mathbf 1) \right) S, \quad
       \bar \gamma = (Z \odot \bar Y)^\top \mathbf 1, \quad \bar \beta = \bar Y^\top \mathbf 1 $$
    $$ C = X - \tfrac{1}{n} \mathbf 1 \mathbf 1^\top X, \quad Z = C S, \quad G = \bar Y \operatorname{diag}(\gamma) $$
    $$ S = \operatorname{diag}\left(\sqrt{\tfrac{1}{n} (C \odot C)^\top \mathbf 1 + 10^{-5} \mathbf 1}\right)^{-1} $$
    """
    Z, differential = _standardise(X, axis=0)

    def jvp(dX: Array, dgamma: Array, dbeta: Array) -> Array:
        return differential(dX) * gamma + Z * dgamma + dbeta

    def vjp(Y_bar: Array) -> tuple[Array, Array, Array]:
        return differential(Y_bar * gamma), total(Z * Y_bar, axis=0), total(Y_bar, axis=0)

    return Linearization(Z * gamma + beta, jvp, vjp)


@rule(ZHANG_SENNRICH, X=real("n p>=1"), gamma=real("p"))
def rms_norm(X: Array, gamma: Array) -> Linearization[Array]:
    r"""Each row divided by its root mean square, with a gain.

    $$ Y = Z \operatorname{diag}(\gamma) $$
    $$ dY = S \left( dX - \tfrac{1}{p} \operatorname{diag}((Z \odot dX) \mathbf 1) Z \right) \operatorname{diag}(\gamma)
            + Z \operatorname{diag}(d\gamma) $$
    $$ \bar X = S \left( G - \tfrac{1}{p} \operatorname{diag}((Z \odot G) \mathbf 1) Z \right), \quad
       \bar \gamma = (Z \odot \bar Y)^\top \mathbf 1 $$
    $$ S = \operatorname{diag}\left(\sqrt{\tfrac{1}{p} (X \odot X) \mathbf 1 + 10^{-5} \mathbf 1}\right)^{-1}, \quad Z = S X, \quad
       G = \bar Y \operatorname{diag}(\gamma) $$
    """
    inverse_scale = 1 / sqrt(mean(X * X, axis=1, keepdims=True) + EPSILON)
    Z = X * inverse_scale

    def differential(V: Array) -> Array:
        return inverse_scale * (V - Z * mean(Z * V, axis=1, keepdims=True))

    def jvp(dX: Array, dgamma: Array) -> Array:
        return differential(dX) * gamma + Z * dgamma

    def vjp(Y_bar: Array) -> tuple[Array, Array]:
        return differential(Y_bar * gamma), total(Z * Y_bar, axis=0)

    return Linearization(Z * gamma, jvp, vjp)


@rule(VASWANI, Q=real("n d>=1"), K=real("m>=1 d"), V=real("m v"))
def attention(Q: Array, K: Array, V: Array) -> Linearization[Array]:
    r"""Scaled dot-product attention: rows of Q ask, rows of K answer, rows of V are averaged.

    $$ O = P V $$
    $$ dO = \left( P \odot (dS - (P \odot dS) \mathbf 1 \mathbf 1^\top) \right) V + P\,dV $$
    $$ \bar Q = \tfrac{1}{\sqrt{d}} \bar S K, \quad \bar K = \tfrac{1}{\sqrt{d}} \bar S^\top Q, \quad \bar V = P^\top \bar O $$
    $$ S = \tfrac{1}{\sqrt{d}} Q K^\top, \quad P = \operatorname{diag}(\exp(S) \mathbf 1)^{-1} \exp(S) $$
    $$ dS = \tfrac{1}{\sqrt{d}} (dQ\,K^\top + Q\,dK^\top), \quad
       \bar S = P \odot \left( \bar P - (P \odot \bar P) \mathbf 1 \mathbf 1^\top \right), \quad \bar P = \bar O V^\top $$
    """
    scale = 1 / math.sqrt(Q.shape[1])
    S = scale * Q @ K.mT
    E = exp(S - largest(S, axis=1, keepdims=True))
    P = E / total(E, axis=1, keepdims=True)
    O = P @ V

    def jvp(dQ: Array, dK: Array, dV: Array) -> Array:
        dS = scale * (dQ @ K.mT + Q @ dK.mT)
        return (P * (dS - total(P * dS, axis=1, keepdims=True))) @ V + P @ dV

    def vjp(O_bar: Array) -> tuple[Array, Array, Array]:
        P_bar = O_bar @ V.mT
        S_bar = P * (P_bar - total(P * P_bar, axis=1, keepdims=True))  # the sum of O * O_bar does not cancel where P is one-hot
        return scale * (S_bar @ K), S_bar.mT @ (scale * Q), P.mT @ O_bar

    return Linearization(O, jvp, vjp)


@rule(NOTES.at("N1.6"), BISHOP, X=real("n p"), W=real("p m"), b=real("m"))
def linear_layer(X: Array, W: Array, b: Array) -> Linearization[Array]:
    r"""Affine layer; every row shares the bias, so the adjoint of the bias sums over rows.

    $$ Y = X W + \mathbf 1 b^\top $$
    $$ dY = dX\,W + X\,dW + \mathbf 1\,db^\top $$
    $$ \bar X = \bar Y W^\top, \quad \bar W = X^\top \bar Y, \quad \bar b = \bar Y^\top \mathbf 1 $$
    """

    def jvp(dX: Array, dW: Array, db: Array) -> Array:
        return dX @ W + X @ dW + db

    def vjp(Y_bar: Array) -> tuple[Array, Array, Array]:
        return Y_bar @ W.mT, X.mT @ Y_bar, total(Y_bar, axis=0)

    return Linearization(X @ W + b, jvp, vjp)


@rule(NOTES.at("N4.9"), x=real("n"), W1=real("k n"), W2=real("n k"))
def residual_exp2_layer(x: Array, W1: Array, W2: Array) -> Linearization[Array]:
    r"""Two layers with activations sigmoid and 2^u, and the input added to the result: x reaches z by two paths.

    $$ z = 2^u + x $$
    $$ dz = \log(2)\,2^u \odot (dW_2\,h + W_2\,dh) + dx $$
    $$ \bar x = W_1^\top \bar t + \bar z, \quad \bar W_1 = \bar t x^\top, \quad \bar W_2 = \bar u h^\top $$
    $$ t = W_1 x, \quad h = \sigma(t), \quad u = W_2 h, \quad dh = h \odot (1 - h) \odot (dW_1\,x + W_1\,dx) $$
    $$ \bar u = \log(2)\,2^u \odot \bar z, \quad \bar h = W_2^\top \bar u, \quad \bar t = h \odot (1 - h) \odot \bar h $$
    """
    h = sigmoid(W1 @ x)
    power = exp(math.log(2) * (W2 @ h))

    def jvp(dx: Array, dW1: Array, dW2: Array) -> Array:
        dh = h * (1 - h) * (dW1 @ x + W1 @ dx)
        return math.log(2) * power * (dW2 @ h + W2 @ dh) + dx

    def vjp(z_bar: Array) -> tuple[Array, Array, Array]:
        u_bar = math.log(2) * power * z_bar
        t_bar = h * (1 - h) * (W2.mT @ u_bar)
        return W1.mT @ t_bar + z_bar, outer(t_bar, x), outer(u_bar, h)

    return Linearization(power + x, jvp, vjp)


@rule(DEEP_LEARNING, x=real("n>=3"), w=real("3"))
def conv1d(x: Array, w: Array) -> Linearization[Array]:
    r"""Convolution layer of one channel with three weights and no padding (a cross-correlation); its adjoint is a full convolution.

    $$ y_i = \sum_{j=1}^3 w_j x_{i+j-1} $$
    $$ dy_i = \sum_{j=1}^3 (dw_j\,x_{i+j-1} + w_j\,dx_{i+j-1}) $$
    $$ \bar x_i = \sum_{j=1}^3 w_j \bar y_{i-j+1}, \quad \bar w_j = \sum_{i=1}^{n-2} \bar y_i x_{i+j-1} $$
    """
    m = x.shape[0] - 2

    def slide(v: Array, kernel: Array) -> Array:
        return kernel[0] * v[:m] + kernel[1] * v[1 : m + 1] + kernel[2] * v[2:]

    def jvp(dx: Array, dw: Array) -> Array:
        return slide(x, dw) + slide(dx, w)

    def vjp(y_bar: Array) -> tuple[Array, Array]:
        shifted = [concat([zeros((j,), x), w[j] * y_bar, zeros((2 - j,), x)]) for j in range(3)]
        return shifted[0] + shifted[1] + shifted[2], stack([inner(y_bar, x[j : j + m]) for j in range(3)])

    return Linearization(slide(x, w), jvp, vjp)
