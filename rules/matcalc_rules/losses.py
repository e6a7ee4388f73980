"""Losses: numbers that training makes small."""

from matcalc.array import (
    Array,
    absolute,
    exp,
    inner,
    largest,
    log,
    maximum,
    minimum,
    outer,
    sigmoid,
    sign,
    softplus,
    total,
)
from matcalc.domain import held, interval, nonzero, positive, real, signs, simplex
from matcalc.rule import Linearization, rule
from matcalc.source import BISHOP, DEEP_LEARNING, HUBER, MURPHY, NOTES, TIBSHIRANI


@rule(BISHOP, NOTES.at("N2.3"), y=real("n"), t=real("n"))
def squared_error(y: Array, t: Array) -> Linearization[Array]:
    r"""Half the squared distance of a prediction to its target.

    $$ \ell = \tfrac12 \|y - t\|^2 $$
    $$ d\ell = (y - t)^\top (dy - dt) $$
    $$ \bar y = \bar\ell (y - t), \quad \bar t = -\bar\ell (y - t) $$
    """
    r = y - t

    def jvp(dy: Array, dt: Array) -> Array:
        return inner(r, dy - dt)

    def vjp(l_bar: Array) -> tuple[Array, Array]:
        y_bar = l_bar * r
        return y_bar, -y_bar

    return Linearization(inner(r, r) / 2, jvp, vjp)


@rule(NOTES.at("N2.5"), NOTES.at("N2.7"), y=real("n"), h=real("n"))
def sigmoid_squared_error(y: Array, h: Array) -> Linearization[Array]:
    r"""Squared error of a sigmoid output o against a target y; mind the sign of the gradient in h.

    $$ \ell = \|y - o\|^2 $$
    $$ d\ell = 2 (y - o)^\top dy - 2 \left( (y - o) \odot o \odot (1 - o) \right)^\top dh $$
    $$ \bar y = 2 \bar\ell (y - o), \quad \bar h = -2 \bar\ell (y - o) \odot o \odot (1 - o) $$
    $$ o = \sigma(h) $$
    """
    o = sigmoid(h)
    r = y - o

    def jvp(dy: Array, dh: Array) -> Array:
        return 2 * inner(r, dy - o * (1 - o) * dh)

    def vjp(l_bar: Array) -> tuple[Array, Array]:
        y_bar = 2 * l_bar * r
        return y_bar, -y_bar * o * (1 - o)

    return Linearization(inner(r, r), jvp, vjp)


@rule(NOTES.at("N0.1"), BISHOP, X=real("n>=1 p"), w=real("p"), t=real("n>=1"))
def mean_squared_error(X: Array, w: Array, t: Array) -> Linearization[Array]:
    r"""Mean of the squared losses of a linear function w over samples, the rows of X.

    $$ \ell = \tfrac{1}{n} \|r\|^2 $$
    $$ d\ell = \tfrac{2}{n} r^\top (dX\,w + X\,dw - dt) $$
    $$ \bar X = \tfrac{2}{n} \bar\ell\,r w^\top, \quad \bar w = \tfrac{2}{n} \bar\ell\,X^\top r, \quad \bar t = -\tfrac{2}{n} \bar\ell\,r $$
    $$ r = X w - t $$
    """
    n, r = X.shape[0], X @ w - t

    def jvp(dX: Array, dw: Array, dt: Array) -> Array:
        return 2 * inner(r, dX @ w + X @ dw - dt) / n

    def vjp(l_bar: Array) -> tuple[Array, Array, Array]:
        r_bar = 2 * l_bar / n * r
        return outer(r_bar, w), r_bar @ X, -r_bar

    return Linearization(inner(r, r) / n, jvp, vjp)


@rule(NOTES.at("N1.5"), TIBSHIRANI, X=real("n p"), w=nonzero("p"), y=real("n"), lam=positive())
def lasso(X: Array, w: Array, y: Array, lam: Array) -> Linearization[Array]:
    r"""Lasso objective, away from its kinks at zero weights; there, sign(0) = 0 makes the gradient in w a valid subgradient.

    $$ \ell = \|r\|^2 + \lambda \|w\|_1 $$
    $$ d\ell = 2 r^\top (dX\,w + X\,dw - dy) + \lambda \operatorname{sign}(w)^\top dw + \|w\|_1 d\lambda $$
    $$ \bar X = 2 \bar\ell\,r w^\top, \quad \bar w = \bar\ell \left( 2 X^\top r + \lambda \operatorname{sign}(w) \right), \quad
       \bar y = -2 \bar\ell\,r, \quad \bar \lambda = \bar\ell \|w\|_1 $$
    $$ r = X w - y $$
    """
    r = X @ w - y
    size = total(absolute(w))

    def jvp(dX: Array, dw: Array, dy: Array, dlam: Array) -> Array:
        return 2 * inner(r, dX @ w + X @ dw - dy) + lam * inner(sign(w), dw) + size * dlam

    def vjp(l_bar: Array) -> tuple[Array, Array, Array, Array]:
        r_bar = 2 * l_bar * r
        return outer(r_bar, w), r_bar @ X + l_bar * lam * sign(w), -r_bar, l_bar * size

    return Linearization(inner(r, r) + lam * size, jvp, vjp)


@rule(MURPHY, BISHOP, X=real("n p"), w=real("p"), y=real("n"), lam=positive())
def ridge(X: Array, w: Array, y: Array, lam: Array) -> Linearization[Array]:
    r"""Ridge regression objective.

    $$ \ell = \|r\|^2 + \lambda \|w\|^2 $$
    $$ d\ell = 2 r^\top (dX\,w + X\,dw - dy) + 2 \lambda w^\top dw + \|w\|^2 d\lambda $$
    $$ \bar X = 2 \bar\ell\,r w^\top, \quad \bar w = 2 \bar\ell (X^\top r + \lambda w), \quad
       \bar y = -2 \bar\ell\,r, \quad \bar \lambda = \bar\ell \|w\|^2 $$
    $$ r = X w - y $$
    """
    r = X @ w - y
    size = inner(w, w)

    def jvp(dX: Array, dw: Array, dy: Array, dlam: Array) -> Array:
        return 2 * inner(r, dX @ w + X @ dw - dy) + 2 * lam * inner(w, dw) + size * dlam

    def vjp(l_bar: Array) -> tuple[Array, Array, Array, Array]:
        r_bar = 2 * l_bar * r
        return outer(r_bar, w), r_bar @ X + 2 * l_bar * lam * w, -r_bar, l_bar * size

    return Linearization(inner(r, r) + lam * size, jvp, vjp)


@rule(NOTES.at("N4.1"), NOTES.at("N4.2"), w=real("n"), x=real("n"), b=real(), t=real(), lam=real())
def regularised_linear_classification(w: Array, x: Array, b: Array, t: Array, lam: Array) -> Linearization[Array]:
    r"""Squared error of one logistic neuron, with weight decay.

    $$ \ell = \tfrac12 (y - t)^2 + \tfrac12 \lambda \|w\|^2 $$
    $$ d\ell = \delta (x^\top dw + w^\top dx + db) - (y - t)\,dt + \lambda w^\top dw + \tfrac12 \|w\|^2 d\lambda $$
    $$ \bar w = \bar\ell (\delta x + \lambda w), \quad \bar x = \bar\ell \delta w, \quad \bar b = \bar\ell \delta, \quad
       \bar t = -\bar\ell (y - t), \quad \bar \lambda = \tfrac12 \bar\ell \|w\|^2 $$
    $$ y = \sigma(w^\top x + b), \quad \delta = (y - t) y (1 - y) $$
    """
    y = sigmoid(inner(w, x) + b)
    delta = (y - t) * y * (1 - y)
    size = inner(w, w) / 2

    def jvp(dw: Array, dx: Array, db: Array, dt: Array, dlam: Array) -> Array:
        return delta * (inner(x, dw) + inner(w, dx) + db) - (y - t) * dt + lam * inner(w, dw) + size * dlam

    def vjp(l_bar: Array) -> tuple[Array, Array, Array, Array, Array]:
        z_bar = l_bar * delta
        return z_bar * x + l_bar * lam * w, z_bar * w, z_bar, l_bar * (t - y), l_bar * size

    return Linearization((y - t) * (y - t) / 2 + lam * size, jvp, vjp)


@rule(MURPHY, X=real("n p"), w=real("p"), y=held(signs("n")))
def logistic_regression(X: Array, w: Array, y: Array) -> Linearization[Array]:
    r"""Negative log-likelihood of logistic regression with labels y of -1 and 1, without overflow.

    $$ \ell = \mathbf 1^\top \log(1 + \exp(-y \odot (X w))) $$
    $$ d\ell = -s^\top (dX\,w + X\,dw) $$
    $$ \bar X = -\bar\ell\,s w^\top, \quad \bar w = -\bar\ell\,X^\top s $$
    $$ s = y \odot \sigma(-y \odot (X w)) $$
    """
    m = y * (X @ w)

    def jvp(dX: Array, dw: Array) -> Array:
        return -inner(y * sigmoid(-m), dX @ w + X @ dw)

    def vjp(l_bar: Array) -> tuple[Array, Array]:
        z_bar = -l_bar * y * sigmoid(-m)
        return outer(z_bar, w), z_bar @ X

    return Linearization(total(softplus(-m)), jvp, vjp)


@rule(BISHOP, DEEP_LEARNING, z=real("n"), t=interval(0, 1, "n"))
def bce_with_logits(z: Array, t: Array) -> Linearization[Array]:
    r"""Binary cross-entropy of targets t in (0, 1) against the sigmoid of z, without overflow; mind the leading minus sign.

    $$ \ell = -t^\top \log(\sigma(z)) - (1 - t)^\top \log(1 - \sigma(z)) $$
    $$ d\ell = (\sigma(z) - t)^\top dz - z^\top dt $$
    $$ \bar z = \bar\ell (\sigma(z) - t), \quad \bar t = -\bar\ell\,z $$
    """

    def jvp(dz: Array, dt: Array) -> Array:
        return inner(sigmoid(z) - t, dz) - inner(z, dt)

    def vjp(l_bar: Array) -> tuple[Array, Array]:
        return l_bar * (sigmoid(z) - t), -l_bar * z

    return Linearization(total(softplus(z)) - inner(t, z), jvp, vjp)


@rule(BISHOP, DEEP_LEARNING, p=interval(0, 1, "n"), t=interval(0, 1, "n"))
def binary_cross_entropy(p: Array, t: Array) -> Linearization[Array]:
    r"""Binary cross-entropy of targets t against probabilities p, all strictly between 0 and 1.

    $$ \ell = -t^\top \log(p) - (1 - t)^\top \log(1 - p) $$
    $$ d\ell = g^\top dp + (\log(1 - p) - \log(p))^\top dt $$
    $$ \bar p = \bar\ell\,g, \quad \bar t = \bar\ell (\log(1 - p) - \log(p)) $$
    $$ g = (p - t) \oslash (p \odot (1 - p)) $$
    """
    log_p, log_q = log(p), log(1 - p)

    def gradient() -> Array:
        return (p - t) / (p * (1 - p))

    def jvp(dp: Array, dt: Array) -> Array:
        return inner(gradient(), dp) + inner(log_q - log_p, dt)

    def vjp(l_bar: Array) -> tuple[Array, Array]:
        return l_bar * gradient(), l_bar * (log_q - log_p)

    return Linearization(-inner(t, log_p) - inner(1 - t, log_q), jvp, vjp)


def _log_softmax(z: Array) -> Array:
    """Logarithm of the softmax along the last axis."""
    shifted = z - largest(z, axis=-1, keepdims=True)
    return shifted - log(total(exp(shifted), axis=-1, keepdims=True))


@rule(NOTES.at("N1.9"), BISHOP, z=real("n>=1"), y=simplex("n>=1"))
def softmax_cross_entropy(z: Array, y: Array) -> Linearization[Array]:
    r"""Cross-entropy of a softmax p against a target distribution y; the short gradient holds because the entries of y sum to one.

    $$ \ell = -y^\top \log(p) $$
    $$ d\ell = (p - y)^\top dz - \log(p)^\top dy $$
    $$ \bar z = \bar\ell (p - y), \quad \bar y = -\bar\ell \log(p) $$
    $$ p = \frac{\exp(z)}{\mathbf 1^\top \exp(z)} $$
    """
    log_p = _log_softmax(z)

    def jvp(dz: Array, dy: Array) -> Array:
        return inner(exp(log_p) - y, dz) - inner(log_p, dy)

    def vjp(l_bar: Array) -> tuple[Array, Array]:
        return l_bar * (exp(log_p) - y), -l_bar * log_p

    return Linearization(-inner(y, log_p), jvp, vjp)


@rule(NOTES.at("N1.9"), z=real("n>=1"), y=real("n>=1"))
def softmax_cross_entropy_any_target(z: Array, y: Array) -> Linearization[Array]:
    r"""Cross-entropy of a softmax p against any vector y: the gradient in z carries the sum of y.

    $$ \ell = -y^\top \log(p) $$
    $$ d\ell = ((\mathbf 1^\top y) p - y)^\top dz - \log(p)^\top dy $$
    $$ \bar z = \bar\ell ((\mathbf 1^\top y) p - y), \quad \bar y = -\bar\ell \log(p) $$
    $$ p = \frac{\exp(z)}{\mathbf 1^\top \exp(z)} $$
    """
    log_p = _log_softmax(z)

    def jvp(dz: Array, dy: Array) -> Array:
        return inner(total(y) * exp(log_p) - y, dz) - inner(log_p, dy)

    def vjp(l_bar: Array) -> tuple[Array, Array]:
        return l_bar * (total(y) * exp(log_p) - y), -l_bar * log_p

    return Linearization(-inner(y, log_p), jvp, vjp)


@rule(NOTES.at("N1.9"), BISHOP, Z=real("n>=1 m>=1"), Y=simplex("n>=1 m>=1"))
def softmax_cross_entropy_rows(Z: Array, Y: Array) -> Linearization[Array]:
    r"""Mean cross-entropy over a batch, a row of Z and a target distribution (a row of Y) for each sample; gradients are ambient.

    $$ \ell = \tfrac{1}{n} \left( \mathbf 1^\top \log(\exp(Z) \mathbf 1) - \operatorname{tr}(Y^\top Z) \right) $$
    $$ d\ell = \tfrac{1}{n} \operatorname{tr}((P - Y)^\top dZ) - \tfrac{1}{n} \operatorname{tr}(Z^\top dY) $$
    $$ \bar Z = \tfrac{1}{n} \bar\ell (P - Y), \quad \bar Y = -\tfrac{1}{n} \bar\ell Z $$
    $$ P = \operatorname{diag}(\exp(Z) \mathbf 1)^{-1} \exp(Z) $$
    """
    n, top = Z.shape[0], largest(Z, axis=1, keepdims=True)
    E = exp(Z - top)
    mass = total(E, axis=1, keepdims=True)

    def jvp(dZ: Array, dY: Array) -> Array:
        return (inner(E / mass - Y, dZ) - inner(Z, dY)) / n

    def vjp(l_bar: Array) -> tuple[Array, Array]:
        return l_bar / n * (E / mass - Y), -l_bar / n * Z

    return Linearization((total(top + log(mass)) - inner(Y, Z)) / n, jvp, vjp)


@rule(MURPHY, p=simplex("n>=1"), q=simplex("n>=1"))
def kl_divergence(p: Array, q: Array) -> Linearization[Array]:
    r"""Kullback-Leibler divergence of two distributions on n outcomes; gradients are given in the ambient space.

    $$ \ell = p^\top (\log(p) - \log(q)) $$
    $$ d\ell = (\log(p) - \log(q) + \mathbf 1)^\top dp - (p \oslash q)^\top dq $$
    $$ \bar p = \bar\ell (\log(p) - \log(q) + \mathbf 1), \quad \bar q = -\bar\ell (p \oslash q) $$
    """
    ratio = log(p) - log(q)

    def jvp(dp: Array, dq: Array) -> Array:
        return inner(ratio + 1, dp) - inner(p / q, dq)

    def vjp(l_bar: Array) -> tuple[Array, Array]:
        return l_bar * (ratio + 1), -l_bar * p / q

    return Linearization(inner(p, ratio), jvp, vjp)


@rule(HUBER, MURPHY, r=real("n"), delta=positive())
def huber(r: Array, delta: Array) -> Linearization[Array]:
    r"""Huber's loss: half the square of small residuals, linear beyond delta; only its second derivative jumps.

    $$ \ell = c^\top r - \tfrac12 \|c\|^2 $$
    $$ d\ell = c^\top dr + \mathbf 1^\top (|r| - |c|)\,d\delta $$
    $$ \bar r = \bar\ell\,c, \quad \bar \delta = \bar\ell\,\mathbf 1^\top (|r| - |c|) $$
    $$ c = \max(\min(r, \delta), -\delta) $$
    """
    c = maximum(minimum(r, delta), -delta)

    def excess() -> Array:
        return total(absolute(r) - absolute(c))

    def jvp(dr: Array, ddelta: Array) -> Array:
        return inner(c, dr) + excess() * ddelta

    def vjp(l_bar: Array) -> tuple[Array, Array]:
        return l_bar * c, l_bar * excess()

    return Linearization(inner(c, r) - inner(c, c) / 2, jvp, vjp)


@rule(MURPHY, z=real("n"), y=held(signs("n")))
def squared_hinge(z: Array, y: Array) -> Linearization[Array]:
    r"""Squared hinge loss of margins with labels y of -1 and 1; only its second derivative jumps.

    $$ \ell = \|h\|^2 $$
    $$ d\ell = -2 (y \odot h)^\top dz $$
    $$ \bar z = -2 \bar\ell\,y \odot h $$
    $$ h = \max(1 - y \odot z, 0) $$
    """
    h = maximum(1 - y * z, 0.0)

    def jvp(dz: Array) -> Array:
        return -2 * inner(y * h, dz)

    def vjp(l_bar: Array) -> Array:
        return -2 * l_bar * y * h

    return Linearization(inner(h, h), jvp, vjp)


@rule(NOTES.at("N4.4"), W=real("k n"), x=real("n"))
def tied_autoencoder(W: Array, x: Array) -> Linearization[Array]:
    r"""Reconstruction error of a linear autoencoder with tied weights: W acts twice, so two paths add up; no matrix product is formed.

    $$ \ell = \|r\|^2 $$
    $$ d\ell = 2 r^\top (dW^\top h + W^\top dW\,x + W^\top W\,dx - dx) $$
    $$ \bar W = 2 \bar\ell (h r^\top + W r x^\top), \quad \bar x = 2 \bar\ell (W^\top W r - r) $$
    $$ h = W x, \quad r = W^\top h - x $$
    """
    h = W @ x
    r = h @ W - x

    def jvp(dW: Array, dx: Array) -> Array:
        return 2 * inner(r, h @ dW + (dW @ x + W @ dx) @ W - dx)

    def vjp(l_bar: Array) -> tuple[Array, Array]:
        r_bar = 2 * l_bar * r
        h_bar = W @ r_bar
        return outer(h, r_bar) + outer(h_bar, x), h_bar @ W - r_bar

    return Linearization(inner(r, r), jvp, vjp)
