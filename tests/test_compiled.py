"""Programs of many cases: the same answers in loops as at once, and no factorisation large enough for jaxlib's threads to wait."""

import math
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from matcalc.oracle import autodiff, compiled

LOCK_UP = """
import jax, numpy as np
from matcalc.oracle.compiled import mapped

def solves(P, v):
    L = jax.numpy.linalg.cholesky(P)
    return [jax.scipy.linalg.solve_triangular(L, v + i, lower=True) for i in range(6)]

rng = np.random.default_rng(0)
A = rng.standard_normal((400, 16, 16))
program = mapped(solves)
for _ in range(300):
    np.asarray(program((A @ A.swapaxes(1, 2) + np.eye(16), A))[0][0])
"""

FUNCTIONS: dict[str, Any] = {
    "solve": jnp.linalg.solve,
    "log det": lambda P, x: jnp.linalg.slogdet(P)[1],
    "eigh": lambda P, x: jnp.linalg.eigh(P + P.T)[0],
    "SVD in a branch": lambda P, x: jax.lax.cond(x.sum() > 0, lambda: jnp.linalg.svd(P)[1], lambda: jnp.diag(P)),
    "QR of two": lambda P, x: jnp.linalg.qr(jnp.stack([P, P.T]))[1],
    "no factorisation": lambda P, x: P @ x,
}


def test_many_triangular_solves_at_once_come_to_an_end() -> None:
    subprocess.run([sys.executable, "-c", LOCK_UP], check=True, timeout=100)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("cases", "n"), [(400, 7), (101, 16), (3, 30), (1, 30)])
def test_no_factorisation_is_shared_among_threads(name: str, cases: int, n: int) -> None:
    function, given = FUNCTIONS[name], (np.ones((cases, n, n)), np.ones((cases, n)))
    loops = compiled.loops_needed(jax.make_jaxpr(jax.vmap(function))(*given))
    once = jax.make_jaxpr(lambda *arguments: compiled.in_loops(loops, function, arguments))(*given)
    for equation in compiled.factorisations(once):
        batch = math.prod(equation.invars[0].aval.shape[:-2])
        inside = 2 if name == "QR of two" else 1  # a batch of the function's own cannot be split
        assert batch <= max(inside, inside * math.ceil(compiled.SHARED_FROM / (compiled.MOST_OPERATIONS * n**3)))
    assert (loops > 1) == (name != "no factorisation" and (cases > 1 or name == "QR of two"))


def test_a_factorisation_inside_a_branch_or_a_compiled_function_is_found() -> None:
    inside = jax.make_jaxpr(jax.vmap(FUNCTIONS["SVD in a branch"]))(np.ones((400, 7, 7)), np.ones((400, 7)))
    assert {e.primitive.name for e in compiled.factorisations(inside)} == {"svd"}


@pytest.mark.parametrize("loops", [1, 2, 3, 7, 10, 100])
def test_loops_change_no_answer(loops: int) -> None:
    rng = np.random.default_rng(5)
    A, x = rng.standard_normal((10, 4, 4)), rng.standard_normal((10, 4))

    def function(pair: list[Any]) -> dict[str, Any]:
        return {"sum": pair[0] @ pair[1], "trace": jnp.trace(pair[0])}

    found = compiled.in_loops(loops, function, ([A, x],))
    np.testing.assert_allclose(found["sum"], jax.vmap(jnp.matmul)(A, x), rtol=1e-6)
    np.testing.assert_allclose(found["trace"], np.trace(A, axis1=1, axis2=2), rtol=1e-6)


def test_each_function_of_a_program_has_cases_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "LOCKS_UP", True)
    program = compiled.mapped(jnp.linalg.inv, lambda x, y: x + y)
    inverses, sums = program((np.broadcast_to(2 * np.eye(16), (150, 16, 16)),), (np.arange(3.0), np.ones(3)))
    np.testing.assert_allclose(inverses, np.broadcast_to(np.eye(16) / 2, (150, 16, 16)))
    np.testing.assert_allclose(sums, [1, 2, 3])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_that_share_what_they_can_are_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For large arrays, directions are mapped inside the map over points; the answers do not hang on it."""
    rng = np.random.default_rng(0)
    A, x, tangent = (rng.standard_normal(shape) for shape in ((3, 4, 4), (3, 4), (3, 2, 4, 4)))
    P = A @ A.swapaxes(1, 2) + np.eye(4)
    neighbours = [P[:, None] + rng.standard_normal((3, 2, 1, 1)) / 9, rng.standard_normal((3, 2, 4))]
    value = jax.eval_shape(FUNCTIONS[name], P[0], x[0])
    cotangent, offsets = rng.standard_normal((3, 2, *value.shape)), rng.standard_normal((2, 2, 5)) / 9

    def seen() -> Any:
        return autodiff.observe(FUNCTIONS[name], (0,), [P, x], neighbours, [tangent], [cotangent], offsets)

    flat = seen()
    monkeypatch.setattr(autodiff, "LARGE", 1)
    for one, other in zip(jax.tree.leaves(vars(flat)), jax.tree.leaves(vars(seen())), strict=True):
        assert one.shape == other.shape
        assert other == pytest.approx(one, rel=1e-9, abs=1e-9)
