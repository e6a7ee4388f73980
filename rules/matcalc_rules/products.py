"""Products of matrices and vectors."""

from matcalc.array import Array
from matcalc.domain import real
from matcalc.rule import Linearization, rule
from matcalc.source import COOKBOOK, GILES


@rule(GILES, COOKBOOK.at("(37)"), X=real("n p"), W=real("p m"))
def matmul(X: Array, W: Array) -> Linearization[Array]:
    r"""Product of two matrices.

    $$ Z = X W $$
    $$ dZ = dX\,W + X\,dW $$
    $$ \bar X = \bar Z W^\top, \quad \bar W = X^\top \bar Z $$
    """

    def jvp(dX: Array, dW: Array) -> Array:
        return dX @ W + X @ dW

    def vjp(Z_bar: Array) -> tuple[Array, Array]:
        return Z_bar @ W.mT, X.mT @ Z_bar

    return Linearization(X @ W, jvp, vjp)
