"""Rules of one's own: `matcalc verify examples/my_rules.py` judges them, and so does `pytest examples/my_rules.py`."""

from matcalc.array import Array, absolute, exp, log, tanh, total
from matcalc.domain import positive, real
from matcalc.rule import Linearization, rule
from matcalc.source import Source

THESIS = Source("A. Student", 2026, "Gradients I derived by hand")


@rule(THESIS, x=real("n"), w=positive("n"))
def weighted_log_cosh(x: Array, w: Array) -> Linearization[Array]:
    r"""Weighted sum of a smooth absolute value, log cosh, written so that it does not overflow.

    $$ \ell = w^\top \log\cosh(x) $$
    $$ d\ell = (w \odot \tanh(x))^\top dx + \log\cosh(x)^\top dw $$
    $$ \bar x = \bar\ell\, w \odot \tanh(x), \quad \bar w = \bar\ell \log\cosh(x) $$
    """
    log_cosh = absolute(x) + log((1 + exp(-2 * absolute(x))) / 2)
    slope = tanh(x)

    def jvp(dx: Array, dw: Array) -> Array:
        return total(w * slope * dx) + total(log_cosh * dw)

    def vjp(l_bar: Array) -> tuple[Array, Array]:
        return l_bar * w * slope, l_bar * log_cosh

    return Linearization(total(w * log_cosh), jvp, vjp)
