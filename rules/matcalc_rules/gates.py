"""Gates and small circuits of numbers: what backpropagation does at one node."""

from matcalc.array import Array, largest, like, ones_like, sigmoid, step, total
from matcalc.domain import distinct, real
from matcalc.rule import Linearization, rule
from matcalc.source import NOTES


@rule(NOTES.at("N1.4"), x=real(), y=real())
def add_gate(x: Array, y: Array) -> Linearization[Array]:
    r"""Sum of two numbers: the gate hands its adjoint to both.

    $$ f = x + y $$
    $$ df = dx + dy $$
    $$ \bar x = \bar f, \quad \bar y = \bar f $$
    """

    def jvp(dx: Array, dy: Array) -> Array:
        return ones_like(x) * (dx + dy)

    def vjp(f_bar: Array) -> tuple[Array, Array]:
        return f_bar * ones_like(x), f_bar * ones_like(y)

    return Linearization(x + y, jvp, vjp)


@rule(NOTES.at("N1.4"), x=real(), y=real())
def multiply_gate(x: Array, y: Array) -> Linearization[Array]:
    r"""Product of two numbers: the gate switches them.

    $$ f = x y $$
    $$ df = y\,dx + x\,dy $$
    $$ \bar x = \bar f y, \quad \bar y = \bar f x $$
    """

    def jvp(dx: Array, dy: Array) -> Array:
        return y * dx + x * dy

    def vjp(f_bar: Array) -> tuple[Array, Array]:
        return f_bar * y, f_bar * x

    return Linearization(x * y, jvp, vjp)


@rule(NOTES.at("N1.4"), v=distinct("2"))
def max_gate(v: Array) -> Linearization[Array]:
    r"""The larger of two different numbers: the gate routes its adjoint to it (e is 1 at the larger, 0 at the other).

    $$ f = \max(v) $$
    $$ df = e^\top dv $$
    $$ \bar v = \bar f e $$
    $$ e = \mathbf 1 - \operatorname{step}(f \mathbf 1 - v) $$
    """
    f = largest(v)
    e = step(v == f, v)

    def jvp(dv: Array) -> Array:
        return total(e * dv)

    def vjp(f_bar: Array) -> Array:
        return f_bar * e

    return Linearization(f, jvp, vjp)


@rule(NOTES.at("N1.4"), x=real(), v=distinct("2"))
def gate_circuit(x: Array, v: Array) -> Linearization[Array]:
    r"""The circuit 3 (x y + max(y, z)) with v = (y, z), y and z different (e is 1 at the larger, 0 at the other).

    $$ f = 3 (x\,e_1^\top v + \max(v)) $$
    $$ df = 3 (e_1^\top v\,dx + x\,e_1^\top dv + e^\top dv) $$
    $$ \bar x = 3 \bar f\,e_1^\top v, \quad \bar v = 3 \bar f (x e_1 + e) $$
    $$ e_1 = \begin{pmatrix} 1 \\ 0 \end{pmatrix}, \quad e = \mathbf 1 - \operatorname{step}(\max(v) \mathbf 1 - v) $$
    """
    top = largest(v)
    e = step(v == top, v)

    def jvp(dx: Array, dv: Array) -> Array:
        return 3 * (v[0] * dx + x * dv[0] + total(e * dv))

    def vjp(f_bar: Array) -> tuple[Array, Array]:
        e1 = like([1.0, 0.0], v)
        return 3 * f_bar * v[0], 3 * f_bar * (x * e1 + e)

    return Linearization(3 * (x * v[0] + top), jvp, vjp)


@rule(NOTES.at("N1.2"), w0=real(), x=real(), w1=real())
def sigmoid_circuit(w0: Array, x: Array, w1: Array) -> Linearization[Array]:
    r"""One logistic neuron with one input.

    $$ f = \frac{1}{1 + \exp(-(w_0 x + w_1))} $$
    $$ df = f (1 - f) (x\,dw_0 + w_0\,dx + dw_1) $$
    $$ \bar w_0 = \bar z x, \quad \bar x = \bar z w_0, \quad \bar w_1 = \bar z $$
    $$ \bar z = \bar f f (1 - f) $$
    """
    f = sigmoid(w0 * x + w1)

    def jvp(dw0: Array, dx: Array, dw1: Array) -> Array:
        return f * (1 - f) * (x * dw0 + w0 * dx + dw1)

    def vjp(f_bar: Array) -> tuple[Array, Array, Array]:
        z_bar = f_bar * f * (1 - f)
        return z_bar * x, z_bar * w0, z_bar

    return Linearization(f, jvp, vjp)


@rule(NOTES.at("N0.2"), NOTES.at("N0.3"), NOTES.at("N0.4"), x1=real(), x2=real(), x3=real())
def fan_out_circuit(x1: Array, x2: Array, x3: Array) -> Linearization[Array]:
    r"""A circuit whose node z_1 is used twice, so that two paths add up in its adjoint.

    $$ y = z_1 + x_3 z_3 $$
    $$ dy = 2 (1 - x_3) x_1\,dx_1 + x_3^2\,dx_2 + (z_3 + x_2 x_3)\,dx_3 $$
    $$ \bar x_1 = 2 \bar z_1 x_1, \quad \bar x_2 = \bar z_3 x_3, \quad \bar x_3 = \bar y z_3 + \bar z_3 x_2 $$
    $$ z_1 = x_1^2, \quad z_2 = x_2 x_3, \quad z_3 = z_2 - z_1 $$
    $$ \bar z_3 = \bar y x_3, \quad \bar z_1 = \bar y - \bar z_3 $$
    """
    z1, z2 = x1 * x1, x2 * x3
    z3 = z2 - z1

    def jvp(dx1: Array, dx2: Array, dx3: Array) -> Array:
        return 2 * (1 - x3) * x1 * dx1 + x3 * x3 * dx2 + (z3 + x2 * x3) * dx3

    def vjp(y_bar: Array) -> tuple[Array, Array, Array]:
        z3_bar = y_bar * x3
        z1_bar = y_bar - z3_bar
        return 2 * z1_bar * x1, z3_bar * x3, y_bar * z3 + z3_bar * x2

    return Linearization(z1 + x3 * z3, jvp, vjp)


@rule(NOTES.at("N2.1"), x=real(), y=real())
def shared_node_circuit(x: Array, y: Array) -> Linearization[Array]:
    r"""The polynomial x^2 + x y + (x + y)^2 as a circuit with the shared node c = x + y.

    $$ f = x^2 + x y + c^2 $$
    $$ df = (2 x + y + 2 c)\,dx + (x + 2 c)\,dy $$
    $$ \bar x = \bar f (2 x + y + 2 c), \quad \bar y = \bar f (x + 2 c) $$
    $$ c = x + y $$
    """
    c = x + y

    def jvp(dx: Array, dy: Array) -> Array:
        return (2 * x + y + 2 * c) * dx + (x + 2 * c) * dy

    def vjp(f_bar: Array) -> tuple[Array, Array]:
        return f_bar * (2 * x + y + 2 * c), f_bar * (x + 2 * c)

    return Linearization(x * x + x * y + c * c, jvp, vjp)
