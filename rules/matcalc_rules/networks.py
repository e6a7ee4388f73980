"""Small neural networks with their losses; the rows of X are samples."""

from itertools import pairwise

from matcalc.array import Array, inner, outer, sigmoid, softplus, stack, step, total, where
from matcalc.domain import interval, real
from matcalc.rule import Linearization, rule
from matcalc.source import BISHOP, DEEP_LEARNING, NOTES


@rule(NOTES.at("N1.7"), BISHOP, X=real("n p"), W1=real("p h"), b1=real("h"), w2=real("h"), b2=real(), t=interval(0, 1, "n"))
def two_layer_bce(X: Array, W1: Array, b1: Array, w2: Array, b2: Array, t: Array) -> Linearization[Array]:
    r"""Two-layer sigmoid network with binary cross-entropy, computed from the logits z so that nothing overflows.

    $$ \ell = -t^\top \log(\sigma(z)) - (1 - t)^\top \log(1 - \sigma(z)) $$
    $$ d\ell = \delta^\top (dH\,w_2 + H\,dw_2 + db_2 \mathbf 1) - z^\top dt $$
    $$ \bar X = \bar A W_1^\top, \quad \bar W_1 = X^\top \bar A, \quad \bar b_1 = \bar A^\top \mathbf 1, \quad
       \bar w_2 = \bar\ell H^\top \delta, \quad \bar b_2 = \bar\ell\,\mathbf 1^\top \delta, \quad \bar t = -\bar\ell z $$
    $$ H = \sigma(X W_1 + \mathbf 1 b_1^\top), \quad z = H w_2 + b_2 \mathbf 1, \quad \delta = \sigma(z) - t $$
    $$ dH = H \odot (1 - H) \odot (dX\,W_1 + X\,dW_1 + \mathbf 1\,db_1^\top), \quad
       \bar A = \bar\ell (\delta w_2^\top) \odot H \odot (1 - H) $$
    """
    H = sigmoid(X @ W1 + b1)
    z = H @ w2 + b2

    def jvp(dX: Array, dW1: Array, db1: Array, dw2: Array, db2: Array, dt: Array) -> Array:
        dH = H * (1 - H) * (dX @ W1 + X @ dW1 + db1)
        return inner(sigmoid(z) - t, dH @ w2 + H @ dw2 + db2) - inner(z, dt)

    def vjp(l_bar: Array) -> tuple[Array, Array, Array, Array, Array, Array]:
        z_bar = l_bar * (sigmoid(z) - t)
        A_bar = outer(z_bar, w2) * H * (1 - H)
        return A_bar @ W1.mT, X.mT @ A_bar, total(A_bar, axis=0), z_bar @ H, total(z_bar), -l_bar * z

    return Linearization(total(softplus(z)) - inner(t, z), jvp, vjp)


@rule(
    NOTES.at("N2.2"), NOTES.at("N2.3"), NOTES.at("N0.5"),
    X=real("n p"), W1=real("p h"), W2=real("h k"), W3=real("k m"), T=real("n m"),
)  # fmt: skip
def three_layer_sigmoid(X: Array, W1: Array, W2: Array, W3: Array, T: Array) -> Linearization[Array]:
    r"""Three sigmoid layers with half the squared error; the forward pass keeps the outputs O of all layers for the backward pass.

    $$ \ell = \tfrac12 \|T - O_3\|_F^2 $$
    $$ d\ell = \operatorname{tr}((O_3 - T)^\top (dO_3 - dT)) $$
    $$ \bar X = \delta_1 W_1^\top, \quad \bar W_1 = X^\top \delta_1, \quad \bar W_2 = O_1^\top \delta_2, \quad
       \bar W_3 = O_2^\top \delta_3, \quad \bar T = \bar\ell (T - O_3) $$
    $$ O_1 = \sigma(X W_1), \quad O_2 = \sigma(O_1 W_2), \quad O_3 = \sigma(O_2 W_3) $$
    $$ dO_1 = O_1 \odot (1 - O_1) \odot (dX\,W_1 + X\,dW_1), \quad
       dO_2 = O_2 \odot (1 - O_2) \odot (dO_1\,W_2 + O_1\,dW_2), \quad
       dO_3 = O_3 \odot (1 - O_3) \odot (dO_2\,W_3 + O_2\,dW_3) $$
    $$ \delta_3 = \bar\ell (O_3 - T) \odot O_3 \odot (1 - O_3), \quad
       \delta_2 = (\delta_3 W_3^\top) \odot O_2 \odot (1 - O_2), \quad
       \delta_1 = (\delta_2 W_2^\top) \odot O_1 \odot (1 - O_1) $$
    """
    O1 = sigmoid(X @ W1)
    O2 = sigmoid(O1 @ W2)
    O3 = sigmoid(O2 @ W3)
    R = O3 - T

    def jvp(dX: Array, dW1: Array, dW2: Array, dW3: Array, dT: Array) -> Array:
        dO1 = O1 * (1 - O1) * (dX @ W1 + X @ dW1)
        dO2 = O2 * (1 - O2) * (dO1 @ W2 + O1 @ dW2)
        dO3 = O3 * (1 - O3) * (dO2 @ W3 + O2 @ dW3)
        return inner(R, dO3 - dT)

    def vjp(l_bar: Array) -> tuple[Array, Array, Array, Array, Array]:
        delta3 = l_bar * R * O3 * (1 - O3)
        delta2 = (delta3 @ W3.mT) * O2 * (1 - O2)
        delta1 = (delta2 @ W2.mT) * O1 * (1 - O1)
        return delta1 @ W1.mT, X.mT @ delta1, O1.mT @ delta2, O2.mT @ delta3, -l_bar * R

    return Linearization(inner(R, R) / 2, jvp, vjp)


@rule(*(NOTES.at(f"N2.{k}") for k in range(6, 13)), W=real("2 3"), x=real(), y=real())
def sigmoid_chain(W: Array, x: Array, y: Array) -> Linearization[Array]:
    r"""Three sigmoid neurons in a row with the squared error; column k of W holds bias and weight of neuron k.

    $$ \ell = (y - o_3)^2 $$
    $$ d\ell = 2 (y - o_3) (dy - do_3) $$
    $$ \bar W = \begin{pmatrix} \delta_1 & \delta_2 & \delta_3 \\ \delta_1 x & \delta_2 o_1 & \delta_3 o_2 \end{pmatrix}, \quad
       \bar x = \delta_1 W_{21}, \quad \bar y = 2 \bar\ell (y - o_3) $$
    $$ o_1 = \sigma(W_{11} + W_{21} x), \quad o_2 = \sigma(W_{12} + W_{22} o_1), \quad o_3 = \sigma(W_{13} + W_{23} o_2) $$
    $$ do_1 = o_1 (1 - o_1) (dW_{11} + dW_{21} x + W_{21}\,dx), \quad
       do_2 = o_2 (1 - o_2) (dW_{12} + dW_{22} o_1 + W_{22}\,do_1), \quad
       do_3 = o_3 (1 - o_3) (dW_{13} + dW_{23} o_2 + W_{23}\,do_2) $$
    $$ \delta_3 = -2 \bar\ell (y - o_3) o_3 (1 - o_3), \quad
       \delta_2 = \delta_3 W_{23} o_2 (1 - o_2), \quad
       \delta_1 = \delta_2 W_{22} o_1 (1 - o_1) $$
    """
    outputs = [x]
    for k in range(3):
        outputs.append(sigmoid(W[0, k] + W[1, k] * outputs[k]))
    r = y - outputs[3]

    def jvp(dW: Array, dx: Array, dy: Array) -> Array:
        do = dx
        for k, (o, after) in enumerate(pairwise(outputs)):
            do = after * (1 - after) * (dW[0, k] + dW[1, k] * o + W[1, k] * do)
        return 2 * r * (dy - do)

    def vjp(l_bar: Array) -> tuple[Array, Array, Array]:
        o_bar, biases, weights = -2 * l_bar * r, [], []
        for k in (2, 1, 0):
            delta = o_bar * outputs[k + 1] * (1 - outputs[k + 1])
            biases.append(delta)
            weights.append(delta * outputs[k])
            o_bar = delta * W[1, k]
        return stack([stack(biases[::-1]), stack(weights[::-1])]), o_bar, 2 * l_bar * r

    return Linearization(r * r, jvp, vjp)


@rule(NOTES.at("N3.1"), NOTES.at("N3.2"), NOTES.at("N3.3"), DEEP_LEARNING, X=real("n>=1 p"), W1=real("h p"), w2=real("h"), t=real("n>=1"))
def relu_network(X: Array, W1: Array, w2: Array, t: Array) -> Linearization[Array]:
    r"""Mean squared error of a network with one hidden layer of rectifiers, away from its kinks where an entry of A is zero.

    $$ J = \tfrac{1}{2 n} \|r\|^2 $$
    $$ dJ = \tfrac{1}{n} r^\top (dH\,w_2 + H\,dw_2 - dt) $$
    $$ \bar X = \bar A W_1, \quad \bar W_1 = \bar A^\top X, \quad \bar w_2 = \tfrac{1}{n} \bar J H^\top r, \quad
       \bar t = -\tfrac{1}{n} \bar J r $$
    $$ A = X W_1^\top, \quad H = \max(A, 0), \quad r = H w_2 - t $$
    $$ dH = \operatorname{step}(A) \odot (dX\,W_1^\top + X\,dW_1^\top), \quad
       \bar A = \tfrac{1}{n} \bar J \operatorname{step}(A) \odot (r w_2^\top) $$
    """
    n, A = X.shape[0], X @ W1.mT
    H = where(A > 0, A, 0.0)
    r = H @ w2 - t

    def jvp(dX: Array, dW1: Array, dw2: Array, dt: Array) -> Array:
        dH = step(A > 0, A) * (dX @ W1.mT + X @ dW1.mT)
        return inner(r, dH @ w2 + H @ dw2 - dt) / n

    def vjp(J_bar: Array) -> tuple[Array, Array, Array, Array]:
        r_bar = J_bar / n * r
        A_bar = where(A > 0, outer(r_bar, w2), 0.0)
        return A_bar @ W1, A_bar.mT @ X, r_bar @ H, -r_bar

    return Linearization(inner(r, r) / (2 * n), jvp, vjp)


@rule(NOTES.at("N3.1"), X=real("n>=1 p"), W1=real("h p"), w2=real("h"), t=real("n>=1"))
def sigmoid_network(X: Array, W1: Array, w2: Array, t: Array) -> Linearization[Array]:
    r"""Mean squared error of a network with one hidden layer of sigmoids and a sigmoid output.

    $$ J = \tfrac{1}{2 n} \|z - t\|^2 $$
    $$ dJ = \tfrac{1}{n} (z - t)^\top (dz - dt) $$
    $$ \bar X = \bar A W_1, \quad \bar W_1 = \bar A^\top X, \quad \bar w_2 = H^\top \delta, \quad \bar t = -\tfrac{1}{n} \bar J (z - t) $$
    $$ H = \sigma(X W_1^\top), \quad z = \sigma(H w_2) $$
    $$ dH = H \odot (1 - H) \odot (dX\,W_1^\top + X\,dW_1^\top), \quad dz = z \odot (1 - z) \odot (dH\,w_2 + H\,dw_2) $$
    $$ \delta = \tfrac{1}{n} \bar J (z - t) \odot z \odot (1 - z), \quad \bar A = (\delta w_2^\top) \odot H \odot (1 - H) $$
    """
    n, H = X.shape[0], sigmoid(X @ W1.mT)
    z = sigmoid(H @ w2)
    r = z - t

    def jvp(dX: Array, dW1: Array, dw2: Array, dt: Array) -> Array:
        dH = H * (1 - H) * (dX @ W1.mT + X @ dW1.mT)
        return inner(r, z * (1 - z) * (dH @ w2 + H @ dw2) - dt) / n

    def vjp(J_bar: Array) -> tuple[Array, Array, Array, Array]:
        r_bar = J_bar / n * r
        delta = r_bar * z * (1 - z)
        A_bar = outer(delta, w2) * H * (1 - H)
        return A_bar @ W1, A_bar.mT @ X, delta @ H, -r_bar

    return Linearization(inner(r, r) / (2 * n), jvp, vjp)
