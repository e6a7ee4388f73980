"""Wrong derivatives of functions of two numbers, and one that was never run. All of them are wrong nearly everywhere."""

from issues import issue

from matcalc.array import Array, arctan2, sqrt
from matcalc.domain import nonzero, real
from matcalc.rule import Linearization, rule


@rule(issue("JuliaDiff/ChainRules.jl", 74), x=nonzero("n"), y=nonzero("n"))
def hypotenuse(x: Array, y: Array) -> Linearization[Array]:
    r"""Hypotenuse of a right triangle, entry by entry.

    $$ r = \sqrt{x^2 + y^2} $$
    $$ dr = (x \odot dx + y \odot dy) / r $$
    $$ \bar x = \bar r \odot x / r, \quad \bar y = \bar r \odot y / r $$

    ChainRules #74: the two partial derivatives of the differential were swapped, and the test repeated the mistake.
    """
    r = sqrt(x * x + y * y)

    def jvp(dx: Array, dy: Array) -> Array:
        return (y * dx + x * dy) / r

    def vjp(r_bar: Array) -> tuple[Array, Array]:
        return r_bar * x / r, r_bar * y / r

    return Linearization(r, jvp, vjp)


@rule(issue("JuliaDiff/ChainRules.jl", 79), y=nonzero("n"), x=nonzero("n"))
def angle(y: Array, x: Array) -> Linearization[Array]:
    r"""Angle of the point (x, y), entry by entry.

    $$ \theta = \operatorname{atan2}(y, x) $$
    $$ d\theta = (x \odot dy - y \odot dx) / (x^2 + y^2) $$
    $$ \bar y = \bar\theta \odot x / (x^2 + y^2), \quad \bar x = -\bar\theta \odot y / (x^2 + y^2) $$

    ChainRules #79: the denominator was the hypotenuse, not its square.
    """
    r = sqrt(x * x + y * y)

    def jvp(dy: Array, dx: Array) -> Array:
        return (x * dy - y * dx) / r

    def vjp(theta_bar: Array) -> tuple[Array, Array]:
        return theta_bar * x / r, -theta_bar * y / r

    return Linearization(arctan2(y, x), jvp, vjp)


@rule(issue("JuliaDiff/ChainRules.jl", 272), A=real("m n"), B=real("n p"))
def product_never_pulled_back(A: Array, B: Array) -> Linearization[Array]:
    r"""Product of two matrices.

    $$ C = A B $$
    $$ dC = dA\,B + A\,dB $$
    $$ \bar A = \bar C B^\top, \quad \bar B = A^\top \bar C $$

    ChainRules #272: the gradient named a function that does not exist, and no test had ever run it.
    """

    def jvp(dA: Array, dB: Array) -> Array:
        return dA @ B + A @ dB

    def vjp(C_bar: Array) -> tuple[Array, Array]:
        return gemm_pullback(C_bar)  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable]

    return Linearization(A @ B, jvp, vjp)
