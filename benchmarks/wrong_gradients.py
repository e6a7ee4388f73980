"""Functions as people write them, their derivatives by hand, and wrong versions of those: what a checker has to tell apart.

    python benchmarks/wrong_gradients.py

checks the data themselves: every right derivative against finite differences of its function, and every wrong version against
the right one at a point that is recorded with it, where it must differ by more than 1e-9 of the derivative's size (or in dtype or
shape, or change its inputs, or answer differently when it is asked twice).

A problem is a NumPy or JAX function with its domains and one claim: `grad`, `vjp`, `jvp`, `jacobian` or `hessian`, as
`matcalc.check` takes them. A wrong version stands in the claim's place. `but` adds one written by hand, `spoil` some that are
made from the right one (SPOILS says how).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from warnings import catch_warnings, simplefilter

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from scipy.special import expit

from matcalc.array import parts
from matcalc.domain import (
    Domain,
    distinct,
    full_rank,
    held,
    interval,
    invertible,
    lower_triangular,
    one_hot,
    positive,
    positive_definite,
    punctured,
    real,
    simple_spectrum,
    symmetric,
    tall,
)

Function = Callable[..., Any]
Point = tuple[Any, ...]

FORMS = ("grad", "vjp", "jvp", "jacobian", "hessian")
SIZES = {"n": 4, "p": 3, "m": 5, "k": 2, "q": 2}
"The sizes of an ordinary point."
LEAST = 1e-9
"A version is wrong if it differs from the right one by more than this, relative to the size of the right one."


@dataclass(frozen=True)
class Wrong:
    """A wrong derivative: its class, what is wrong, and inputs at which it is (None: at any ordinary point)."""

    kind: str
    note: str
    make: Callable[[], Function]  # a new one each time, since some remember
    at: Point | None = None


@dataclass(frozen=True)
class Problem:
    """A function, where it is defined, the right derivative, and wrong ones."""

    name: str
    library: str
    function: Function
    domains: tuple[Domain, ...]
    form: str
    right: Function
    wrong: list[Wrong] = field(default_factory=list[Wrong])

    def but(self, kind: str, note: str, derivative: Function, *at: Any) -> None:
        """Add a wrong version; `at` are inputs at which it is wrong, if it is not everywhere."""
        self.wrong.append(Wrong(kind, note, lambda: derivative, tuple(np.array(x, float) for x in at) or None))

    def spoil(self, *words: str) -> None:
        """Add wrong versions made from the right one, by the words of SPOILS; "sign/1" spoils the second of several gradients."""
        for text in words:
            word, _, part = text.partition("/")
            kind, change = SPOILS[word]
            self.wrong.append(Wrong(kind, text, lambda change=change, part=part: change(self.right, int(part) if part else None)))

    def claim(self, derivative: Function) -> dict[str, Any]:
        """A derivative as `matcalc.check` takes it."""
        return {self.form: derivative}

    @property
    def free(self) -> tuple[int, ...]:
        """Positions of the inputs that are differentiated."""
        return tuple(i for i, domain in enumerate(self.domains) if not domain.held)

    def point(self, rng: np.random.Generator, sizes: dict[str, int] | None = None, spread: float = 1.0) -> Point:
        """An ordinary point, as NumPy arrays."""
        noises = (rng.standard_normal(d.shape(sizes or SIZES)) for d in self.domains)
        return tuple(np.asarray(d.point(noise, spread), float) for d, noise in zip(self.domains, noises, strict=True))


PROBLEMS: list[Problem] = []


def _problem(name: str, library: str, function: Function, *domains: Domain, **claim: Function) -> Problem:
    ((form, right),) = claim.items()
    problem = Problem(name, library, function, domains, form, right)
    PROBLEMS.append(problem)
    return problem


# --- wrong versions that are made from the right one ---------------------------------------------------------------------------


def _answers(change: Callable[[Any], Any]) -> Callable[[Function, int | None], Function]:
    """Spoil what a derivative answers: all gradients of several, or the one at a position."""

    def spoiled(right: Function, part: int | None) -> Function:
        def derivative(*arguments: Any) -> Any:
            answer = right(*arguments)
            if not isinstance(answer, tuple):
                return change(answer)
            return tuple(change(a) if part in {None, i} else a for i, a in enumerate(answer))

        return derivative

    return spoiled


def _last_entry(factor: float) -> Callable[[Any], Any]:
    def change(g: Any) -> Any:
        factors = np.ones(g.shape)
        factors[(-1,) * g.ndim] = factor
        return g * factors

    return change


def _in_float32(right: Function, _: int | None) -> Function:
    def derivative(*arguments: Any) -> Any:
        answer = right(*(a.astype("float32") for a in arguments))
        return tuple(a.astype("float64") for a in answer) if isinstance(answer, tuple) else answer.astype("float64")

    return derivative


def _accumulating(right: Function, _: int | None) -> Function:
    totals: dict[Any, tuple[Any, ...]] = {}

    def derivative(*arguments: Any) -> Any:
        answer = right(*arguments)
        shapes = tuple(np.shape(a) for a in arguments)
        totals[shapes] = tuple(a + b for a, b in zip(parts(answer), totals.get(shapes, (0,) * len(parts(answer))), strict=True))
        return totals[shapes] if isinstance(answer, tuple) else totals[shapes][0]

    return derivative


def _remembering(right: Function, _: int | None) -> Function:
    known: dict[Any, Any] = {}

    def derivative(*arguments: Any) -> Any:
        shapes = tuple(np.shape(a) for a in arguments)
        if shapes not in known:
            known[shapes] = right(*arguments)
        return known[shapes]

    return derivative


def _moving_its_input(right: Function, part: int | None) -> Function:
    def derivative(*arguments: Any) -> Any:
        answer = right(*arguments)
        x = arguments[part or 0]
        x *= 2
        return answer

    return derivative


SPOILS: dict[str, tuple[str, Callable[[Function, int | None], Function]]] = {
    "sign": ("sign", _answers(lambda g: -g)),
    "twice": ("factor", _answers(lambda g: 2 * g)),
    "half": ("factor", _answers(lambda g: g / 2)),
    "absolute": ("absolute value", _answers(abs)),
    "relu": ("absolute value", _answers(lambda g: g * (g > 0))),
    "entry zero": ("one wrong entry", _answers(_last_entry(0))),
    "entry sign": ("one wrong entry", _answers(_last_entry(-1))),
    "entry 1e-3": ("one wrong entry", _answers(_last_entry(1 + 1e-3))),
    "entry 1e-6": ("one wrong entry", _answers(_last_entry(1 + 1e-6))),
    "1e-3": ("relative error", _answers(lambda g: g * (1 + 1e-3))),
    "1e-6": ("relative error", _answers(lambda g: g * (1 - 1e-6))),
    "2e-9": ("relative error", _answers(lambda g: g * (1 + 2e-9))),
    "float32 inside": ("float32 inside", _in_float32),
    "float32 result": ("dtype or shape", _answers(lambda g: g.astype("float32"))),
    "extra axis": ("dtype or shape", _answers(lambda g: g[..., None])),
    "accumulates": ("accumulated state", _accumulating),
    "remembers": ("accumulated state", _remembering),
    "doubles its input": ("mutation", _moving_its_input),
}


# --- linear algebra ------------------------------------------------------------------------------------------------------------

inv, solve = np.linalg.inv, np.linalg.solve


def _vech(G: Any) -> Any:
    """The gradient with respect to the entries on and below the diagonal: doubled off it."""
    return G * (2 - np.eye(len(G)))


det = _problem("det", "numpy", np.linalg.det, invertible("n"), grad=lambda A: np.linalg.det(A) * inv(A).T)
det.but("dropped transpose", "det(A) inv(A)", lambda A: np.linalg.det(A) * inv(A))
det.but("wrong for a negative determinant", "|det|", lambda A: np.exp(np.linalg.slogdet(A)[1]) * inv(A).T, [[1.0, 2.0], [3.0, 1.0]])
det.but("dropped term", "the factor det is missing", lambda A: inv(A).T)
det.but("size-dependent factor", "divided by n", lambda A: np.linalg.det(A) * inv(A).T / len(A))
det.but("size-dependent factor", "times n - 1: right for n = 2", lambda A: np.linalg.det(A) * inv(A).T * max(len(A) - 1, 1))
det.but("epsilon", "inv(A + 1e-6 I)", lambda A: np.linalg.det(A) * inv(A + 1e-6 * np.eye(len(A))).T)
det.but("wrong for other shapes", "entrywise: right for n = 1", lambda A: np.linalg.det(A) / A)
det.spoil("sign", "entry sign", "2e-9", "float32 inside")

logdet = _problem("logdet", "numpy", lambda P: np.linalg.slogdet(P)[1], positive_definite("n"), grad=inv)
logdet.but("symmetrisation", "doubled off the diagonal (vech)", lambda P: _vech(inv(P)))
logdet.but("symmetrisation", "the lower triangle alone", lambda P: np.tril(inv(P)))
logdet.but("dropped term", "the diagonal alone", lambda P: np.diag(np.diag(inv(P))))
logdet.but("epsilon", "inv(P + 1e-6 I)", lambda P: inv(P + 1e-6 * np.eye(len(P))))
logdet.but(
    "wrong when ill-conditioned", "pseudo-inverse with a cut-off", lambda P: np.linalg.pinv(P, rcond=1e-6), [[1.0, 0.0], [0.0, 1e-7]]
)
logdet.but("wrong for other shapes", "entrywise: right for n = 1", lambda P: 1 / P, [[2.0, 1.0], [1.0, 3.0]])


def _logdet_with_jitter(P: Any) -> Any:
    P[np.diag_indices(len(P))] += 1e-3
    return inv(P - 1e-3 * np.eye(len(P)))


logdet.but("mutation", "a jitter stays on the diagonal of the input", _logdet_with_jitter)
logdet.spoil("half", "1e-6", "entry 1e-3", "float32 inside")

log_abs_det = _problem("log |det|", "jax", lambda A: jnp.linalg.slogdet(A)[1], invertible("n"), grad=lambda A: jnp.linalg.inv(A).T)
log_abs_det.but("dropped transpose", "inv(A)", jnp.linalg.inv)
log_abs_det.but(
    "wrong for a negative determinant",
    "times the sign of det",
    lambda A: jnp.sign(jnp.linalg.det(A)) * jnp.linalg.inv(A).T,
    [[1.0, 2.0], [3.0, 1.0]],
)
log_abs_det.but("symmetrisation", "the symmetric part alone", lambda A: (jnp.linalg.inv(A) + jnp.linalg.inv(A).T) / 2)
log_abs_det.but("dropped term", "det itself", lambda A: jnp.linalg.det(A) * jnp.linalg.inv(A).T)
log_abs_det.but("epsilon", "inv of AᵀA + 1e-6 I", lambda A: A @ jnp.linalg.inv(A.T @ A + 1e-6 * jnp.eye(len(A))))
log_abs_det.spoil("absolute", "accumulates", "1e-3", "extra axis")


def _inverse_vjp(A: Any, G: Any) -> Any:
    Y = inv(A)
    return -Y.T @ G @ Y.T


inverse = _problem("inverse", "numpy", inv, invertible("n"), vjp=_inverse_vjp)
inverse.but("dropped transpose", "-Y G Y", lambda A, G: -inv(A) @ G @ inv(A))
inverse.but("dropped transpose", "-Yᵀ G Y", lambda A, G: -inv(A).T @ G @ inv(A))
inverse.but("wrong side", "-Yᵀ Yᵀ G", lambda A, G: -inv(A).T @ inv(A).T @ G)
inverse.but("dropped transpose", "-Yᵀ Gᵀ Yᵀ", lambda A, G: -inv(A).T @ G.T @ inv(A).T)
inverse.but("absolute value", "of the cotangent", lambda A, G: _inverse_vjp(A, abs(G)))
inverse.but("absolute value", "relu of the cotangent", lambda A, G: _inverse_vjp(A, np.maximum(G, 0)))
inverse.but("absolute value", "the squared cotangent", lambda A, G: _inverse_vjp(A, G * G))
inverse.but("epsilon", "regularised inverse", lambda A, G: _inverse_vjp(A + 1e-6 * np.eye(len(A)), G))
inverse.but("wrong for other shapes", "-G / A²: right for n = 1", lambda A, G: -G / A**2)
inverse.spoil("sign", "1e-6", "doubles its input/1")


def _inverse_jvp(A: Any, dA: Any) -> Any:
    Y = jnp.linalg.inv(A)
    return -Y @ dA @ Y


inverse_jax = _problem("inverse, forward", "jax", jnp.linalg.inv, invertible("n"), jvp=_inverse_jvp)
inverse_jax.but("dropped transpose", "-Y dA Yᵀ", lambda A, dA: -jnp.linalg.inv(A) @ dA @ jnp.linalg.inv(A).T)
inverse_jax.but("wrong side", "-Y Y dA", lambda A, dA: -jnp.linalg.inv(A) @ jnp.linalg.inv(A) @ dA)
inverse_jax.but("wrong side", "-dA Y Y", lambda A, dA: -dA @ jnp.linalg.inv(A) @ jnp.linalg.inv(A))
inverse_jax.but("symmetrisation", "the symmetric part of dA", lambda A, dA: _inverse_jvp(A, (dA + dA.T) / 2))
inverse_jax.but("wrong for other shapes", "-dA / A²: right for n = 1", lambda A, dA: -dA / A**2)
inverse_jax.spoil("sign", "2e-9", "entry zero", "absolute", "float32 inside", "float32 result")


def _solve_vjp(A: Any, b: Any, g: Any) -> Any:
    x, b_bar = solve(A, b), solve(A.T, g)
    return -np.outer(b_bar, x), b_bar


linear_solve = _problem("solve", "numpy", solve, invertible("n"), real("n"), vjp=_solve_vjp)
linear_solve.but("dropped transpose", "solve(A, g)", lambda A, b, g: (-np.outer(solve(A, g), solve(A, b)), solve(A, g)))
linear_solve.but("swapped factors", "-x b̄ᵀ", lambda A, b, g: (-np.outer(solve(A, b), solve(A.T, g)), solve(A.T, g)))
linear_solve.but("dropped term", "no gradient with respect to A", lambda A, _, g: (0 * A, solve(A.T, g)))
linear_solve.but("dropped term", "b in the place of x", lambda A, b, g: (-np.outer(solve(A.T, g), b), solve(A.T, g)))
linear_solve.but("absolute value", "of the cotangent", lambda A, b, g: _solve_vjp(A, b, abs(g)))
linear_solve.but(
    "wrong when ill-conditioned",
    "least squares with a cut-off",
    lambda A, b, g: (_solve_vjp(A, b, g)[0], np.linalg.lstsq(A.T, g, rcond=1e-6)[0]),
    [[1.0, 2.0], [0.0, 1e-7]],
    [1.0, 1.0],
)
linear_solve.spoil("sign/0", "twice/1", "accumulates", "float32 result", "entry 1e-6/0")


def _solve_jvp(A: Any, B: Any, dA: Any, dB: Any) -> Any:
    return jnp.linalg.solve(A, dB - dA @ jnp.linalg.solve(A, B))


solve_jax = _problem("solve, forward", "jax", jnp.linalg.solve, invertible("n"), real("n p"), jvp=_solve_jvp)
solve_jax.but("sign", "+ dA X", lambda A, B, dA, dB: _solve_jvp(A, B, -dA, dB))
solve_jax.but("dropped term", "no dA", lambda A, _, dA, dB: jnp.linalg.solve(A, dB) + 0 * (dA @ dB))
solve_jax.but("dropped term", "no dB", lambda A, B, dA, dB: _solve_jvp(A, B, dA, 0 * dB))
solve_jax.but(
    "swapped factors",
    "dA A⁻¹ X for A⁻¹ dA X",
    lambda A, B, dA, dB: jnp.linalg.solve(A, dB) - dA @ jnp.linalg.solve(A, jnp.linalg.solve(A, B)),
)
solve_jax.but("dropped transpose", "dAᵀ for dA", lambda A, B, dA, dB: _solve_jvp(A, B, dA.T, dB))
solve_jax.but("dropped transpose", "Aᵀ for A", lambda A, B, dA, dB: _solve_jvp(A.T, B, dA, dB))
solve_jax.but(
    "wrong for other shapes",
    "divided by the columns of B: right for one",
    lambda A, B, dA, dB: _solve_jvp(A, B, dA, dB) / max(B.shape[1], 1),
)
solve_jax.spoil("1e-6", "entry sign", "float32 inside")


def _quadratic_form_gradient(x: Any, A: Any) -> Any:
    return (A + A.T) @ x, np.outer(x, x)


quadratic_form = _problem("xᵀAx", "numpy", lambda x, A: x @ A @ x, real("n"), real("n n"), grad=_quadratic_form_gradient)
quadratic_form.but("symmetrisation", "2 A x", lambda x, A: (2 * A @ x, np.outer(x, x)))
quadratic_form.but("dropped term", "A x", lambda x, A: (A @ x, np.outer(x, x)))
quadratic_form.but("symmetrisation", "doubled off the diagonal", lambda x, A: (A @ x + A.T @ x, 2 * np.outer(x, x) - np.diag(x * x)))
quadratic_form.but("dropped term", "the diagonal of x xᵀ", lambda x, A: ((A + A.T) @ x, np.diag(x * x)))
quadratic_form.but("swapped results", "gradients in the wrong order", lambda x, A: (np.outer(x, x), (A + A.T) @ x))
quadratic_form.but(
    "wrong at zeros", "f / x for one part", lambda x, A: (A @ x + x * (A.T @ x) / x, np.outer(x, x)), [0.0, 1.0], [[1.0, 2.0], [3.0, 4.0]]
)
quadratic_form.spoil("sign/0", "entry zero/1", "1e-3/1", "doubles its input", "2e-9")


def _trace_axbx(A: Any, X: Any, B: Any) -> Any:
    return jnp.trace(A @ X @ B @ X.T)


trace_axbx = _problem(
    "tr(AXBXᵀ)",
    "jax",
    _trace_axbx,
    held(real("n n")),
    real("n p"),
    held(real("p p")),
    grad=lambda A, X, B: A.T @ X @ B.T + A @ X @ B,
)
trace_axbx.but("symmetrisation", "2 A X B", lambda A, X, B: 2 * A @ X @ B)
trace_axbx.but("dropped term", "A X B", lambda A, X, B: A @ X @ B)
trace_axbx.but("dropped transpose", "Aᵀ X B + A X B", lambda A, X, B: (A + A.T) @ X @ B)
trace_axbx.but("dropped transpose", "transposes swapped between terms", lambda A, X, B: A.T @ X @ B + A @ X @ B.T)
trace_axbx.but("sign", "of the second term", lambda A, X, B: A.T @ X @ B.T - A @ X @ B)
trace_axbx.but(
    "wrong for other shapes",
    "times p / n: right for square X",
    lambda A, X, B: (A.T @ X @ B.T + A @ X @ B) * (X.shape[1] / max(X.shape[0], 1)),
)
trace_axbx.spoil("1e-6", "absolute", "half", "entry 1e-3")


def _trace_inverse_gradient(P: Any, B: Any) -> Any:
    Y = solve(P, B)
    return -Y @ Y.T, 2 * Y


trace_inverse = _problem(
    "tr(P⁻¹BBᵀ)",
    "numpy",
    lambda P, B: np.trace(solve(P, B @ B.T)),
    positive_definite("n"),
    real("n p"),
    grad=_trace_inverse_gradient,
)


trace_inverse.but(
    "symmetrisation", "doubled off the diagonal (vech)", lambda P, B: (_vech(_trace_inverse_gradient(P, B)[0]), 2 * solve(P, B))
)
trace_inverse.but("dropped term", "-P⁻¹BBᵀ", lambda P, B: (-solve(P, B @ B.T), 2 * solve(P, B)))
trace_inverse.but("swapped factors", "-BBᵀP⁻²", lambda P, B: (-B @ B.T @ inv(P) @ inv(P), 2 * solve(P, B)))
trace_inverse.but("epsilon", "P + 1e-6 I", lambda P, B: _trace_inverse_gradient(P + 1e-6 * np.eye(len(P)), B))
trace_inverse.but(
    "wrong for other shapes",
    "divided by the columns of B: right for one",
    lambda P, B: tuple(g / max(B.shape[1], 1) for g in _trace_inverse_gradient(P, B)),
)
trace_inverse.spoil("sign/0", "half/1", "2e-9/0", "accumulates", "entry sign/1", "float32 inside")

cube = _problem("X³", "numpy", lambda X: X @ X @ X, real("n n"), jvp=lambda X, dX: dX @ X @ X + X @ dX @ X + X @ X @ dX)
cube.but("swapped factors", "3 X² dX", lambda X, dX: 3 * X @ X @ dX)
cube.but("dropped term", "no X dX X", lambda X, dX: dX @ X @ X + X @ X @ dX)
cube.but("swapped factors", "X dX X twice, X² dX not at all", lambda X, dX: dX @ X @ X + 2 * X @ dX @ X)
cube.but("wrong for other shapes", "entrywise: right for n = 1", lambda X, dX: 3 * X**2 * dX)
cube.but("dropped transpose", "Xᵀ in the middle term", lambda X, dX: dX @ X @ X + X.T @ dX @ X + X @ X @ dX)
cube.but("sign", "of the middle term", lambda X, dX: dX @ X @ X - X @ dX @ X + X @ X @ dX)
cube.spoil("2e-9", "absolute", "entry zero", "remembers")


def _square_jacobian(X: Any) -> Any:
    I = jnp.eye(len(X))
    return jnp.einsum("ik,lj->ijkl", I, X) + jnp.einsum("ik,jl->ijkl", X, I)


square = _problem("X², Jacobian", "jax", lambda X: X @ X, real("n n"), jacobian=_square_jacobian)
square.but("dropped transpose", "axes of the input swapped", lambda X: _square_jacobian(X).transpose(0, 1, 3, 2))
square.but("dropped transpose", "axes of the value swapped", lambda X: _square_jacobian(X).transpose(1, 0, 2, 3))
square.but("dropped transpose", "input before value", lambda X: _square_jacobian(X).transpose(2, 3, 0, 1))
square.but("dropped term", "dX X alone", lambda X: jnp.einsum("ik,lj->ijkl", jnp.eye(len(X)), X))
square.but("swapped factors", "twice dX X", lambda X: 2 * jnp.einsum("ik,lj->ijkl", jnp.eye(len(X)), X))
square.but("dtype or shape", "two axes, as the textbook's vec", lambda X: _square_jacobian(X).reshape(X.size, X.size))
square.spoil("sign", "entry 1e-3", "half", "1e-6", "float32 inside")

gram = _problem("XᵀX", "numpy", lambda X: X.T @ X, real("m n"), vjp=lambda X, G: X @ (G + G.T))
gram.but("symmetrisation", "2 X G", lambda X, G: 2 * X @ G)
gram.but("dropped term", "X G", lambda X, G: X @ G)
gram.but("dropped term", "X Gᵀ", lambda X, G: X @ G.T)
gram.but("wrong for other shapes", "times n / m: right for square X", lambda X, G: X @ (G + G.T) * X.shape[1] / max(len(X), 1))
gram.but("absolute value", "of the cotangent", lambda X, G: X @ abs(G + G.T))


def _gram_in_place(X: Any, G: Any) -> Any:
    np.add(G, G.T.copy(), out=G)
    return X @ G


gram.but("mutation", "the cotangent is symmetrised in place", _gram_in_place)
gram.spoil("sign", "relu", "1e-3", "float32 result", "entry 1e-6")

product = _problem("AB", "numpy", lambda A, B: A @ B, real("n p"), real("p q"), vjp=lambda A, B, G: (G @ B.T, A.T @ G))
product.but("dropped transpose", "GᵀA for AᵀG", lambda A, B, G: (G @ B.T, G.T @ A))
product.but("dropped transpose", "B Gᵀ for G Bᵀ", lambda A, B, G: (B @ G.T, A.T @ G))
product.but("swapped results", "gradients in the wrong order", lambda A, B, G: (A.T @ G, G @ B.T))
product.but("dropped term", "no gradient with respect to B", lambda _, B, G: (G @ B.T, 0 * B))
product.but("absolute value", "of the cotangent", lambda A, B, G: (abs(G) @ B.T, A.T @ abs(G)))
product.but("size-dependent factor", "divided by p", lambda A, B, G: (G @ B.T / max(len(B), 1), A.T @ G))
product.but(
    "wrong for other shapes", "AᵀG times q / p: right for square B", lambda A, B, G: (G @ B.T, A.T @ G * B.shape[1] / max(len(B), 1))
)
product.spoil("sign/0", "entry zero/1", "2e-9/1", "accumulates", "relu/0")


def _hadamard_vjp(A: Any, b: Any, G: Any) -> Any:
    return G * b, (G * A).sum(0)


hadamard = _problem("A ∘ b", "numpy", lambda A, b: A * b, real("n p"), real("p"), vjp=_hadamard_vjp)
hadamard.but("broadcast", "G ∘ A is not summed", lambda A, b, G: (G * b, G * A))
hadamard.but("broadcast", "the first row for the sum", lambda A, b, G: (G * b, (G * A)[0] if len(A) else 0 * b))
hadamard.but("broadcast", "summed with its axis kept", lambda A, b, G: (G * b, (G * A).sum(0, keepdims=True)))
hadamard.but("size-dependent factor", "mean for sum", lambda A, b, G: (G * b, (G * A).sum(0) / max(len(A), 1)))
hadamard.but("wrong at zeros", "f / b", lambda A, b, G: (G * b, (G * A * b / b).sum(0)), [[1.0, 2.0]], [0.0, 1.0])
hadamard.but("absolute value", "of the cotangent", lambda A, b, G: (abs(G) * b, (G * A).sum(0)))
hadamard.but("dropped term", "G for G ∘ b", lambda A, b, G: (G + 0 * A * b, (G * A).sum(0)))
hadamard.spoil("sign/1", "1e-6/1", "doubles its input/2", "entry sign/0")


def _kronecker_vjp(A: Any, B: Any, G: Any) -> Any:
    blocks = G.reshape(A.shape[0], B.shape[0], A.shape[1], B.shape[1])
    return np.einsum("iajb,ab->ij", blocks, B), np.einsum("iajb,ij->ab", blocks, A)


def _kronecker_vjp_without_transposition(A: Any, B: Any, G: Any) -> Any:
    blocks = G.reshape(*A.shape, *B.shape)
    return np.einsum("ijab,ab->ij", blocks, B), np.einsum("ijab,ij->ab", blocks, A)


def _kronecker_vjp_other_way_round(A: Any, B: Any, G: Any) -> Any:
    blocks = G.reshape(B.shape[0], A.shape[0], B.shape[1], A.shape[1])
    return np.einsum("aibj,ab->ij", blocks, B), np.einsum("aibj,ij->ab", blocks, A)


kronecker = _problem("A ⊗ B", "numpy", np.kron, real("n p"), real("q k"), vjp=_kronecker_vjp)
kronecker.but("dropped transpose", "the blocks are not transposed", _kronecker_vjp_without_transposition)
kronecker.but("swapped factors", "as if it were B ⊗ A", _kronecker_vjp_other_way_round)
kronecker.but("swapped results", "gradients in the wrong order", lambda A, B, G: _kronecker_vjp(A, B, G)[::-1])
kronecker.but("dropped term", "no gradient with respect to B", lambda A, B, G: (_kronecker_vjp(A, B, G)[0], 0 * B))
kronecker.but("size-dependent factor", "divided by n", lambda A, B, G: tuple(g / max(len(A), 1) for g in _kronecker_vjp(A, B, G)))
kronecker.but("absolute value", "of the cotangent", lambda A, B, G: _kronecker_vjp(A, B, abs(G)))
kronecker.spoil("sign/1", "entry zero/0", "1e-6", "half/0")

frobenius = _problem("‖X‖", "numpy", np.linalg.norm, punctured("m n"), grad=lambda X: X / np.linalg.norm(X))
frobenius.but("epsilon", "1e-6 in the denominator", lambda X: X / (np.linalg.norm(X) + 1e-6))
frobenius.but("epsilon", "1e-12 under the root", lambda X: X / np.sqrt((X * X).sum() + 1e-12), [[1e-5]])
frobenius.but("dropped term", "not divided by the norm", lambda X: 1.0 * X)
frobenius.but("dropped term", "divided by the squared norm", lambda X: X / np.linalg.norm(X) ** 2)
frobenius.but("size-dependent factor", "root mean square for root of sum", lambda X: X / np.sqrt(np.mean(X * X)))
frobenius.but("wrong for other shapes", "spectral norm: right for one row", lambda X: X / np.linalg.norm(X, 2))
frobenius.but("absolute value", "|X| / ‖X‖", lambda X: abs(X) / np.linalg.norm(X))
frobenius.but("dropped transpose", "Xᵀ / ‖X‖", lambda X: X.T / np.linalg.norm(X))
frobenius.spoil("twice", "1e-6", "extra axis", "remembers")


def _polar_factor(X: Any) -> Any:
    U, _, Vt = np.linalg.svd(X, full_matrices=False)
    return U @ Vt


def _polar_factor_with(combine: Function) -> Function:
    return lambda X: combine(*np.linalg.svd(X, full_matrices=False))


def _distinct_alone(U: Any, s: Any, Vt: Any) -> Any:
    first = np.isin(np.arange(len(s)), np.unique(np.round(s, 9), return_index=True)[1])
    return (U * first) @ Vt


def _polar_factor_by_gram(X: Any, epsilon: float = 0.0) -> Any:
    lam, V = np.linalg.eigh(X.T @ X + epsilon * np.eye(X.shape[1]))
    return X @ (V / np.sqrt(lam)) @ V.T


nuclear = _problem("nuclear norm", "numpy", lambda X: np.linalg.norm(X, "nuc"), full_rank("m n"), grad=_polar_factor)
nuclear.but("dropped transpose", "U V for U Vᵀ", _polar_factor_with(lambda U, _, Vt: U @ Vt.T))
nuclear.but("dropped term", "X itself", lambda X: 1.0 * X)
nuclear.but("wrong for other shapes", "X (XᵀX)^(-1/2): right for tall X", _polar_factor_by_gram, [[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]])
nuclear.but("epsilon", "X (XᵀX + 1e-6 I)^(-1/2)", lambda X: _polar_factor_by_gram(X, 1e-6))
nuclear.but("dropped term", "of the largest singular value alone", _polar_factor_with(lambda U, _, Vt: U[:, :1] @ Vt[:1]))
nuclear.but(
    "wrong at repeated spectra", "equal singular values counted once", _polar_factor_with(_distinct_alone), [[2.0, 0.0], [0.0, 2.0]]
)
nuclear.spoil("sign", "absolute", "2e-9", "entry 1e-3")


def _least_squares_jvp(A: Any, b: Any, dA: Any, db: Any) -> Any:
    P = np.linalg.pinv(A)
    x = P @ b
    return P @ (db - dA @ x) + P @ P.T @ dA.T @ (b - A @ x)


def _least_squares(A: Any, b: Any) -> Any:
    return np.linalg.lstsq(A, b, rcond=None)[0]


least_squares = _problem("least squares", "numpy", _least_squares, tall("m n"), real("m"), jvp=_least_squares_jvp)
least_squares.but(
    "wrong for other shapes",
    "no residual term: right for square A",
    lambda A, b, dA, db: np.linalg.pinv(A) @ (db - dA @ _least_squares(A, b)),
)
least_squares.but("dropped term", "no db", lambda A, b, dA, db: _least_squares_jvp(A, b, dA, 0 * db))
least_squares.but("dropped term", "no dA", lambda A, b, dA, db: _least_squares_jvp(A, b, 0 * dA, db))
least_squares.but("sign", "of dA", lambda A, b, dA, db: _least_squares_jvp(A, b, -dA, db))
least_squares.but(
    "sign",
    "of the residual term",
    lambda A, b, dA, db: 2 * np.linalg.pinv(A) @ (db - dA @ _least_squares(A, b)) - _least_squares_jvp(A, b, dA, db),
)
least_squares.but(
    "epsilon", "ridge 1e-6", lambda A, _, dA, db: _least_squares_jvp(np.vstack([A, 1e-3 * np.eye(A.shape[1])]), *_padded(_, dA, db))
)


def _padded(b: Any, dA: Any, db: Any) -> tuple[Any, Any, Any]:
    zero = np.zeros(dA.shape[1])
    return np.concatenate([b, zero]), np.vstack([dA, np.zeros((len(zero), len(zero)))]), np.concatenate([db, zero])


least_squares.spoil("1e-6", "entry sign", "absolute", "doubles its input/1")


def _pinv_jvp(A: Any, dA: Any, rtol: float | None = None) -> Any:
    P = jnp.linalg.pinv(A, rtol=rtol)
    left, right = jnp.eye(A.shape[0]) - A @ P, jnp.eye(A.shape[1]) - P @ A
    return -P @ dA @ P + P @ P.T @ dA.T @ left + right @ dA.T @ P.T @ P


def _pinv_jvp_tall(A: Any, dA: Any) -> Any:
    P = jnp.linalg.pinv(A)
    return -P @ dA @ P + P @ P.T @ dA.T @ (jnp.eye(A.shape[0]) - A @ P)


def _pinv_jvp_wide(A: Any, dA: Any) -> Any:
    P = jnp.linalg.pinv(A)
    return -P @ dA @ P + (jnp.eye(A.shape[1]) - P @ A) @ dA.T @ P.T @ P


pinv = _problem("pseudo-inverse", "jax", jnp.linalg.pinv, full_rank("m n"), jvp=_pinv_jvp)
pinv.but("wrong for other shapes", "-P dA P: right for square A", lambda A, dA: -jnp.linalg.pinv(A) @ dA @ jnp.linalg.pinv(A))
pinv.but("wrong for other shapes", "right for tall A", _pinv_jvp_tall, [[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]])
pinv.but("wrong for other shapes", "right for wide A", _pinv_jvp_wide)
pinv.but("sign", "of the second term", lambda A, dA: 2 * _pinv_jvp_wide(A, dA) - _pinv_jvp(A, dA))
pinv.but("factor", "second and third term doubled", lambda A, dA: 2 * _pinv_jvp(A, dA) + jnp.linalg.pinv(A) @ dA @ jnp.linalg.pinv(A))
pinv.but("wrong when ill-conditioned", "a cut-off", lambda A, dA: _pinv_jvp(A, dA, 1e-6), [[1.0, 0.0], [0.0, 1e-7]])
pinv.spoil("1e-3", "entry zero", "2e-9", "absolute")


def _halved(M: Any) -> Any:
    return M - np.diag(np.diag(M)) / 2


def _cholesky_vjp_with(middle: Function, inverse_factor: Function = inv) -> Function:
    def vjp(P: Any, G: Any) -> Any:
        L = np.linalg.cholesky(P)
        Y = inverse_factor(L)
        S = Y.T @ middle(L, np.tril(G)) @ Y
        return (S + S.T) / 2

    return vjp


_cholesky_vjp = _cholesky_vjp_with(lambda L, G: _halved(np.tril(L.T @ G)))
cholesky = _problem("Cholesky", "numpy", np.linalg.cholesky, positive_definite("n"), vjp=_cholesky_vjp)
cholesky.but("factor", "the diagonal is not halved", _cholesky_vjp_with(lambda L, G: np.tril(L.T @ G)))
cholesky.but("dropped term", "no lower triangle is taken", _cholesky_vjp_with(lambda L, G: _halved(L.T @ G)))
cholesky.but("dropped term", "the diagonal of the middle alone", _cholesky_vjp_with(lambda L, G: _halved(np.diag(np.diag(L.T @ G)))))
cholesky.but("dropped transpose", "L G for Lᵀ G", _cholesky_vjp_with(lambda L, G: _halved(np.tril(L @ G))))
cholesky.but("swapped factors", "L⁻¹ Φ L⁻ᵀ", _cholesky_vjp_with(lambda L, G: _halved(np.tril(L.T @ G)), lambda L: inv(L).T))
cholesky.but("symmetrisation", "doubled off the diagonal (vech)", lambda P, G: _vech(_cholesky_vjp(P, G)))
cholesky.but("symmetrisation", "the lower triangle alone", lambda P, G: np.tril(_cholesky_vjp(P, G)))
cholesky.but("absolute value", "of the cotangent", lambda P, G: _cholesky_vjp(P, abs(G)))
cholesky.spoil("sign", "2e-9", "float32 inside")


def _logdet_by_cholesky(P: Any) -> Any:
    return 2 * jnp.sum(jnp.log(jnp.diagonal(jnp.linalg.cholesky(P))))


def _inverse_by_cholesky(P: Any) -> Any:
    Y = solve_triangular(jnp.linalg.cholesky(P), jnp.eye(len(P)), lower=True)
    return Y.T @ Y


def _inverse_factors_swapped(P: Any) -> Any:
    Y = solve_triangular(jnp.linalg.cholesky(P), jnp.eye(len(P)), lower=True)
    return Y @ Y.T


cholesky_logdet = _problem("logdet by Cholesky", "jax", _logdet_by_cholesky, positive_definite("n"), grad=_inverse_by_cholesky)
cholesky_logdet.but("swapped factors", "L⁻¹ L⁻ᵀ", _inverse_factors_swapped)
cholesky_logdet.but("dropped term", "L⁻ᵀ alone", lambda P: jnp.linalg.inv(jnp.linalg.cholesky(P)).T)
cholesky_logdet.but("symmetrisation", "doubled off the diagonal (vech)", lambda P: _vech(_inverse_by_cholesky(P)))
cholesky_logdet.but("symmetrisation", "the upper triangle alone", lambda P: jnp.triu(_inverse_by_cholesky(P)))
cholesky_logdet.but("epsilon", "P + 1e-6 I", lambda P: _inverse_by_cholesky(P + 1e-6 * jnp.eye(len(P))))
cholesky_logdet.but("size-dependent factor", "divided by n", lambda P: _inverse_by_cholesky(P) / max(len(P), 1))
cholesky_logdet.spoil("half", "sign", "entry 1e-3", "float32 inside", "remembers")


def _triangular_solve(L: Any, b: Any) -> Any:
    return solve_triangular(L, b, lower=True)


def _triangular_solve_vjp(L: Any, b: Any, g: Any) -> Any:
    b_bar = solve_triangular(L, g, lower=True, trans=1)
    return -jnp.tril(jnp.outer(b_bar, _triangular_solve(L, b))), b_bar


def _triangular_solve_vjp_full(L: Any, b: Any, g: Any) -> Any:
    b_bar = solve_triangular(L, g, lower=True, trans=1)
    return -jnp.outer(b_bar, _triangular_solve(L, b)), b_bar


triangular_solve = _problem("triangular solve", "jax", _triangular_solve, lower_triangular("n"), real("n"), vjp=_triangular_solve_vjp)
triangular_solve.but("dropped term", "the other triangle is not zero", _triangular_solve_vjp_full)
triangular_solve.but(
    "dropped transpose",
    "L⁻¹ g for L⁻ᵀ g",
    lambda L, b, g: (-jnp.tril(jnp.outer(_triangular_solve(L, g), _triangular_solve(L, b))), _triangular_solve(L, g)),
)
triangular_solve.but(
    "swapped factors",
    "x b̄ᵀ for b̄ xᵀ",
    lambda L, b, g: (jnp.tril(_triangular_solve_vjp_full(L, b, g)[0].T), solve_triangular(L, g, lower=True, trans=1)),
)
triangular_solve.but(
    "dropped term",
    "the diagonal is left out",
    lambda L, b, g: (jnp.tril(_triangular_solve_vjp(L, b, g)[0], -1), solve_triangular(L, g, lower=True, trans=1)),
)
triangular_solve.but(
    "dropped term",
    "the diagonal alone",
    lambda L, b, g: (jnp.diag(jnp.diag(_triangular_solve_vjp(L, b, g)[0])), solve_triangular(L, g, lower=True, trans=1)),
)
triangular_solve.but("absolute value", "of the cotangent", lambda L, b, g: _triangular_solve_vjp(L, b, abs(g)))
triangular_solve.spoil("sign/0", "1e-6", "twice/1")

# --- eigenvalues ---------------------------------------------------------------------------------------------------------------


def _outer(v: Any) -> Any:
    return np.outer(v, v)


def _top_gradient(S: Any) -> Any:
    return _outer(np.linalg.eigh(S)[1][:, -1])


def _gradient_of_the_farthest(S: Any) -> Any:
    lam, V = np.linalg.eigh(S)
    return _outer(V[:, np.argmax(abs(lam))])


top = _problem("largest eigenvalue", "numpy", lambda S: np.linalg.eigvalsh(S)[-1], simple_spectrum("n>=1"), grad=_top_gradient)
top.but("dropped transpose", "a row of V for a column", lambda S: _outer(np.linalg.eigh(S)[1][-1]))
top.but("wrong at other signs", "the eigenvalue of largest magnitude", _gradient_of_the_farthest, [[-3.0, 0.0], [0.0, 1.0]])
top.but("dropped term", "the smallest eigenvalue's", lambda S: _outer(np.linalg.eigh(S)[1][:, 0]))
top.but("factor", "λ v vᵀ", lambda S: np.linalg.eigvalsh(S)[-1] * _top_gradient(S))
top.but("symmetrisation", "doubled off the diagonal (vech)", lambda S: _vech(_top_gradient(S)))
top.but("dropped term", "the diagonal alone", lambda S: np.diag(np.diag(_top_gradient(S))))
top.but("epsilon", "v vᵀ / (vᵀv + 1e-6)", lambda S: _top_gradient(S) / (1 + 1e-6))
top.spoil("sign", "absolute", "2e-9", "entry zero")


def _exp_of(S: Any) -> Any:
    """By eigenvalues: jax.scipy.linalg.expm (0.10) has relative errors up to 1.6e-7 where the norm is between 5.4 and 10.7."""
    lam, V = jnp.linalg.eigh(S)
    return (V * jnp.exp(lam)) @ V.T


trace_exp = _problem("tr exp(S)", "jax", lambda S: jnp.sum(jnp.exp(jnp.linalg.eigvalsh(S))), symmetric("n"), grad=_exp_of)
trace_exp.but("wrong for other shapes", "entrywise: right for n = 1", jnp.exp)
trace_exp.but("dropped term", "the series after four terms", lambda S: jnp.eye(len(S)) + S + S @ S / 2 + S @ S @ S / 6)
trace_exp.but("dropped term", "the series after twelve terms", lambda S: _series(S, 12))
trace_exp.but("symmetrisation", "doubled off the diagonal (vech)", lambda S: _vech(_exp_of(S)))
trace_exp.but("swapped factors", "S exp(S)", lambda S: S @ _exp_of(S))
trace_exp.but("size-dependent factor", "divided by n", lambda S: _exp_of(S) / max(len(S), 1))
trace_exp.but("epsilon", "exp(S + 1e-6 I)", lambda S: _exp_of(S + 1e-6 * jnp.eye(len(S))))
trace_exp.spoil("sign", "1e-3", "entry 1e-6", "float32 inside")


def _series(S: Any, terms: int) -> Any:
    total = term = jnp.eye(len(S))
    for k in range(1, terms):
        term = term @ S / k
        total = total + term
    return total


def _exp_symmetric(S: Any) -> Any:
    lam, V = np.linalg.eigh(S)
    return (V * np.exp(lam)) @ V.T


def _quotient(a: Any, b: Any) -> Any:
    """(exp(a) - exp(b)) / (a - b), accurate when they are close or equal, finite where the larger of exp(a) and exp(b) is."""
    apart = abs(a - b)
    return np.exp(np.maximum(a, b)) * np.where(apart == 0, 1.0, -np.expm1(-apart) / np.where(apart == 0, 1.0, apart))


def _exp_symmetric_vjp_with(quotient: Function) -> Function:
    def vjp(S: Any, G: Any) -> Any:
        lam, V = np.linalg.eigh(S)
        return V @ (quotient(lam[:, None], lam[None, :]) * (V.T @ G @ V)) @ V.T

    return vjp


def _unequal(a: Any, b: Any) -> Any:
    """A - b, and 1 where they are equal."""
    return np.where(a == b, 1.0, a - b)


_IDENTITY = [[1.0, 0.0], [0.0, 1.0]]
_exp_symmetric_vjp = _exp_symmetric_vjp_with(_quotient)
exp_symmetric = _problem("exp of a symmetric matrix", "numpy", _exp_symmetric, symmetric("n"), vjp=_exp_symmetric_vjp)
exp_symmetric.but(
    "wrong at repeated spectra",
    "0 / 0 off the diagonal",
    _exp_symmetric_vjp_with(lambda a, b: (np.exp(a) - np.exp(b) + np.diagflat(np.exp(a))) / (a - b + np.eye(a.size))),
    _IDENTITY,
)
exp_symmetric.but(
    "wrong at repeated spectra",
    "zero for equal eigenvalues off the diagonal",
    _exp_symmetric_vjp_with(lambda a, b: np.where((abs(a - b) < 1e-12) & ~np.eye(a.size, dtype=bool), 0.0, _quotient(a, b))),
    _IDENTITY,
)
exp_symmetric.but(
    "wrong at repeated spectra",
    "digits cancel for close eigenvalues",
    _exp_symmetric_vjp_with(lambda a, b: np.where(a == b, np.exp(a), (np.exp(a) - np.exp(b)) / _unequal(a, b))),
    [[1.0, 0.0], [0.0, 1.00000001]],
)
exp_symmetric.but(
    "epsilon",
    "1e-6 in the quotient's denominator",
    _exp_symmetric_vjp_with(lambda a, b: np.where(a == b, np.exp(a), (np.exp(a) - np.exp(b)) / (_unequal(a, b) + 1e-6))),
)
exp_symmetric.but("swapped factors", "exp(S) G", lambda S, G: _exp_symmetric(S) @ G)
exp_symmetric.but("dropped term", "exp(λ) for the quotients", _exp_symmetric_vjp_with(lambda a, b: np.exp((a + b) / 2)))
exp_symmetric.but("dropped term", "no quotients", _exp_symmetric_vjp_with(lambda a, b: 1 + 0 * a * b))
exp_symmetric.but("absolute value", "of the cotangent", lambda S, G: _exp_symmetric_vjp(S, abs(G)))
exp_symmetric.spoil("1e-6", "sign", "half", "float32 inside", "doubles its input/1")

# --- sums, products, kinks -----------------------------------------------------------------------------------------------------


def _products_of_the_others(x: Any) -> Any:
    before = np.concatenate([[1.0], np.cumprod(x)[:-1]])
    after = np.concatenate([np.cumprod(x[::-1])[::-1][1:], [1.0]])
    return before * after


prod = _problem("product of entries", "numpy", np.prod, real("n>=1"), grad=_products_of_the_others)
prod.but("wrong at zeros", "f / x", lambda x: np.prod(x) / x, [0.0, 2.0, 3.0])
prod.but("wrong at zeros", "f / x, and 0 where x is 0", lambda x: np.where(x == 0, 0, np.prod(x) / np.where(x == 0, 1, x)), [0.0, 2.0, 3.0])
prod.but("wrong at zeros", "zeros are skipped", lambda x: np.prod(x[x != 0]) / np.where(x == 0, 1, x), [0.0, 2.0, 3.0])
prod.but(
    "wrong at zeros",
    "zeros are skipped where x is 0: right for one zero",
    lambda x: np.where(x == 0, np.prod(x[x != 0]), np.prod(x) / np.where(x == 0, 1, x)),
    [0.0, 0.0, 3.0],
)
prod.but("epsilon", "f / (x + 1e-6)", lambda x: np.prod(x) / (x + 1e-6))
prod.but("dropped term", "the factors before alone", lambda x: np.concatenate([[1.0], np.cumprod(x)[:-1]]))
prod.but("dropped term", "the whole product", lambda x: np.prod(x) + 0 * x)
prod.but("wrong at other signs", "exp of the sum of logarithms", lambda x: np.exp(np.sum(np.log(abs(x)))) / x, [-1.0, 2.0])
prod.spoil("sign", "absolute", "2e-9", "entry sign")

cumsum = _problem("cumulative sum", "jax", jnp.cumsum, real("n"), vjp=lambda x, g: jnp.cumsum(g[::-1])[::-1] + 0 * x)
cumsum.but("dropped transpose", "the sum runs forward", lambda x, g: jnp.cumsum(g) + 0 * x)
cumsum.but("dropped transpose", "not turned round again", lambda x, g: jnp.cumsum(g[::-1]) + 0 * x)
cumsum.but("dropped term", "without the entry itself", lambda x, g: jnp.cumsum(g[::-1])[::-1] - g + 0 * x)
cumsum.but("dropped term", "the cotangent as it came", lambda x, g: g + 0 * x)
cumsum.but("size-dependent factor", "mean for sum", lambda x, g: jnp.cumsum(g[::-1])[::-1] / max(len(x), 1))
cumsum.spoil("sign", "absolute", "relu", "entry zero", "1e-6", "accumulates")

weighted = _problem("Σ w x²", "numpy", lambda w, x: np.sum(w * x**2), real("n"), real("n"), grad=lambda w, x: (x**2, 2 * w * x))
weighted.but("wrong at zeros", "terms divided by w", lambda w, x: (w * x**2 / w, 2 * w * x), [0.0, 1.0], [1.0, 2.0])
weighted.but("wrong at zeros", "terms divided by x", lambda w, x: (x**2, 2 * (w * x**2) / x), [1.0, 1.0], [0.0, 2.0])
weighted.but("wrong at zeros", "zero weights are left out", lambda w, x: (x**2 * (w != 0), 2 * w * x), [0.0, 1.0], [1.0, 2.0])
weighted.but("epsilon", "terms divided by w + 1e-6", lambda w, x: (w * x**2 / (w + 1e-6), 2 * w * x))
weighted.but("factor", "w x", lambda w, x: (x**2, w * x))
weighted.but("absolute value", "|w|", lambda w, x: (x**2, 2 * abs(w) * x))
weighted.but("size-dependent factor", "mean for sum", lambda w, x: (x**2 / max(len(x), 1), 2 * w * x / max(len(x), 1)))
weighted.but("swapped results", "gradients in the wrong order", lambda w, x: (2 * w * x, x**2))
weighted.spoil("sign/0", "entry 1e-3/1", "doubles its input/1", "float32 result")


def _pool_vjp(X: Any, G: Any) -> Any:
    winners = (X.max(1, keepdims=True) == X) * 1.0
    return G[:, None, :] * winners / winners.sum(1, keepdims=True)


pool = _problem("max pooling", "numpy", lambda X: X.max(axis=1), real("n 2 p"), vjp=_pool_vjp)
pool.but("wrong at ties", "every winner takes all", lambda X, G: G[:, None, :] * (X.max(1, keepdims=True) == X), [[[1.0], [1.0]]])
pool.but("wrong at ties", "no winner", lambda X, G: G[:, None, :] * (X.min(1, keepdims=True) < X), [[[1.0], [1.0]]])
pool.but("swapped factors", "the minimum's", lambda X, G: _pool_vjp(-X, G))
pool.but("dropped term", "shared by all", lambda X, G: G[:, None, :] * np.ones_like(X) / 2)
pool.but("absolute value", "of the cotangent", lambda X, G: _pool_vjp(X, abs(G)))
pool.but("wrong at other signs", "winners compared by magnitude", lambda X, G: _pool_vjp(abs(X), G), [[[-3.0], [1.0]]])
pool.but("dtype or shape", "not scattered", lambda X, G: G + 0 * X.max(1))
pool.spoil("sign", "2e-9", "entry sign", "remembers")

l1 = _problem("Σ |x|", "numpy", lambda x: np.sum(abs(x)), real("n"), grad=np.sign)
l1.but("wrong at zeros", "x / |x|", lambda x: x / abs(x), [0.0, 1.0])
l1.but("wrong at zeros", "2 at the kink", lambda x: np.where(x == 0, 2.0, np.sign(x)), [0.0, 1.0])
l1.but("epsilon", "x / (|x| + 1e-6)", lambda x: x / (abs(x) + 1e-6))
l1.but("epsilon", "tanh(1e6 x)", lambda x: np.tanh(1e6 * x), [1e-7, 1.0])
l1.but("absolute value", "1", np.ones_like)
l1.but("dropped term", "x", lambda x: 1.0 * x)
l1.spoil("sign", "twice", "1e-6", "entry zero", "accumulates", "extra axis")

variance = _problem("variance", "numpy", lambda x: np.var(x, ddof=1), real("n>=2"), grad=lambda x: 2 * (x - x.mean()) / (len(x) - 1))
variance.but("size-dependent factor", "divided by n", lambda x: 2 * (x - x.mean()) / len(x))
variance.but("size-dependent factor", "not divided", lambda x: 2 * (x - x.mean()))
variance.but("size-dependent factor", "divided by n - 2, or 1", lambda x: 2 * (x - x.mean()) / max(len(x) - 2, 1))
variance.but("dropped term", "the mean is not subtracted", lambda x: 2 * x / (len(x) - 1))
variance.but("dropped term", "the mean's share is subtracted twice", lambda x: 2 * (x - 2 * x.mean()) / (len(x) - 1))


def _variance_in_place(x: Any) -> Any:
    x -= x.mean()
    return 2 * x / (len(x) - 1)


variance.but("mutation", "the input is centred in place", _variance_in_place)
variance.spoil("half", "entry 1e-6", "absolute", "2e-9")

# --- losses and layers ---------------------------------------------------------------------------------------------------------


def _softmax(Z: Any, axis: int = -1) -> Any:
    E = np.exp(Z - Z.max(axis=axis, keepdims=True))
    return E / E.sum(axis=axis, keepdims=True)


logsumexp = _problem("log-sum-exp", "jax", jax.nn.logsumexp, real("n>=1"), grad=jax.nn.softmax)
logsumexp.but("dropped term", "not divided by the sum", jnp.exp)
logsumexp.but("wrong for large entries", "exp overflows", lambda x: jnp.exp(x) / jnp.sum(jnp.exp(x)), [1000.0, 999.0])
logsumexp.but("wrong for large entries", "entries are clipped at 30", lambda x: jax.nn.softmax(jnp.clip(x, -30, 30)), [50.0, 40.0])
logsumexp.but("epsilon", "1e-6 in the denominator", lambda x: jnp.exp(x - jnp.max(x)) / (jnp.sum(jnp.exp(x - jnp.max(x))) + 1e-6))
logsumexp.but("size-dependent factor", "mean for sum", lambda x: jax.nn.softmax(x) / len(x))
logsumexp.but(
    "wrong at ties",
    "equal entries counted once",
    lambda x: jnp.exp(x - jnp.max(x)) / _sum_of_distinct(jnp.exp(x - jnp.max(x))),
    [1.0, 1.0, 0.0],
)


def _sum_of_distinct(e: Any) -> Any:
    earlier = (e[:, None] == e[None, :]) & (jnp.arange(len(e))[:, None] > jnp.arange(len(e)))
    return jnp.sum(e * ~jnp.any(earlier, axis=1))


logsumexp.spoil("sign", "2e-9", "entry zero", "accumulates")


def _softmax_vjp(Z: Any, G: Any) -> Any:
    S = jax.nn.softmax(Z, axis=1)
    return S * (G - jnp.sum(G * S, axis=1, keepdims=True))


def _softmax_vjp_with(combine: Function) -> Function:
    return lambda Z, G: combine(jax.nn.softmax(Z, axis=1), G)


softmax = _problem("softmax of rows", "jax", lambda Z: jax.nn.softmax(Z, axis=1), real("n p>=1"), vjp=_softmax_vjp)
softmax.but("dropped term", "S ∘ G", lambda Z, G: jax.nn.softmax(Z, axis=1) * G)
softmax.but("dropped term", "S ∘ (1 - S) ∘ G", _softmax_vjp_with(lambda S, G: S * (1 - S) * G))
softmax.but("sign", "of the sum", _softmax_vjp_with(lambda S, G: S * (G + jnp.sum(G * S, axis=1, keepdims=True))))
softmax.but(
    "wrong for other shapes",
    "summed over all rows: right for one",
    _softmax_vjp_with(lambda S, G: S * (G - jnp.sum(G * S))),
)
softmax.but("wrong side", "summed over columns", _softmax_vjp_with(lambda S, G: S * (G - jnp.sum(G * S, axis=0))))
softmax.but(
    "size-dependent factor",
    "mean for sum",
    _softmax_vjp_with(lambda S, G: S * (G - jnp.mean(G * S, axis=1, keepdims=True))),
)
softmax.but("absolute value", "of the cotangent", lambda Z, G: _softmax_vjp(Z, abs(G)))
softmax.spoil("2e-9", "entry sign", "float32 inside", "remembers")


def _softmax_jacobian(z: Any, softmax_: Function = _softmax) -> Any:
    s = softmax_(z)
    return np.diag(s) - np.outer(s, s)


softmax_jacobian = _problem("softmax, Jacobian", "numpy", _softmax, real("n>=1"), jacobian=_softmax_jacobian)
softmax_jacobian.but("dropped term", "diag(s)", lambda z: np.diag(_softmax(z)))
softmax_jacobian.but("dropped term", "diag(s ∘ (1 - s))", lambda z: np.diag(_softmax(z) * (1 - _softmax(z))))
softmax_jacobian.but("sign", "diag(s) + s sᵀ", lambda z: np.diag(_softmax(z)) + np.outer(_softmax(z), _softmax(z)))
softmax_jacobian.but("dtype or shape", "the diagonal as a vector", lambda z: _softmax(z) * (1 - _softmax(z)))
softmax_jacobian.but("absolute value", "|J|", lambda z: abs(_softmax_jacobian(z)))
softmax_jacobian.but(
    "wrong for large entries",
    "exp overflows",
    lambda z: _softmax_jacobian(z, lambda x: np.exp(x) / np.exp(x).sum()),
    [1000.0, 999.0],
)
softmax_jacobian.spoil("1e-6", "entry zero", "float32 inside", "doubles its input")


def _cross_entropy(Z: Any, Y: Any) -> Any:
    shifted = Z - Z.max(axis=1, keepdims=True)
    return np.mean(np.log(np.exp(shifted).sum(axis=1)) - (Y * shifted).sum(axis=1))


def _cross_entropy_with_epsilon(Z: Any, Y: Any) -> Any:
    S = _softmax(Z)
    W = Y * S / (S + 1e-6)
    return (S * W.sum(1, keepdims=True) - W) / len(Z)


cross_entropy = _problem(
    "softmax cross-entropy",
    "numpy",
    _cross_entropy,
    real("n>=1 p>=1"),
    held(one_hot("n>=1 p>=1")),
    grad=lambda Z, Y: (_softmax(Z) - Y) / len(Z),
)
cross_entropy.but("size-dependent factor", "not divided by n", lambda Z, Y: _softmax(Z) - Y)
cross_entropy.but("size-dependent factor", "divided by n - 1, or 1", lambda Z, Y: (_softmax(Z) - Y) / max(len(Z) - 1, 1))
cross_entropy.but("wrong for other shapes", "divided by p: right for square Z", lambda Z, Y: (_softmax(Z) - Y) / Z.shape[1])
cross_entropy.but("dropped term", "no labels", lambda Z, Y: (_softmax(Z) + 0 * Y) / len(Z))
cross_entropy.but("dropped term", "labelled entries alone", lambda Z, Y: Y * (_softmax(Z) - Y) / len(Z))
cross_entropy.but("epsilon", "log(s + 1e-6)", _cross_entropy_with_epsilon)
cross_entropy.but("wrong side", "softmax over columns", lambda Z, Y: (_softmax(Z, axis=0) - Y) / len(Z))


def _cross_entropy_in_place(Z: Any, Y: Any) -> Any:
    np.subtract(Z, Z.max(axis=1, keepdims=True), out=Z)
    return (_softmax(Z) - Y) / len(Z)


cross_entropy.but("mutation", "the logits are shifted in place", _cross_entropy_in_place)
cross_entropy.spoil("sign", "entry 1e-3", "relu", "1e-6")


def _logistic(w: Any, X: Any, y: Any) -> Any:
    z = X @ w
    return np.mean(np.logaddexp(0, z) - y * z)


def _naive_sigmoid(z: Any) -> Any:
    return np.exp(z) / (1 + np.exp(z))


logistic = _problem(
    "logistic regression",
    "numpy",
    _logistic,
    real("p"),
    held(real("n>=1 p")),
    held(interval(0, 1, "n>=1")),
    grad=lambda w, X, y: X.T @ (expit(X @ w) - y) / len(y),
)
logistic.but("size-dependent factor", "not divided by n", lambda w, X, y: X.T @ (expit(X @ w) - y))
logistic.but("size-dependent factor", "divided by n - 1, or 1", lambda w, X, y: X.T @ (expit(X @ w) - y) / max(len(y) - 1, 1))
logistic.but("dropped transpose", "X r for Xᵀ r", lambda w, X, y: X @ (expit(X @ w) - y) / len(y))
logistic.but("dropped term", "no labels", lambda w, X, y: X.T @ expit(X @ w) / len(y))
logistic.but("dropped term", "σ' in the chain", lambda w, X, y: X.T @ ((expit(X @ w) - y) * expit(X @ w) * expit(-X @ w)) / len(y))
logistic.but(
    "wrong for large entries", "exp overflows", lambda w, X, y: X.T @ (_naive_sigmoid(X @ w) - y) / len(y), [1.0], [[1000.0]], [0.5]
)
logistic.but(
    "wrong for large entries",
    "probabilities clipped at 1e-6",
    lambda w, X, y: X.T @ (np.clip(expit(X @ w), 1e-6, 1 - 1e-6) - y) / len(y),
    [1.0],
    [[40.0]],
    [0.5],
)
logistic.but("epsilon", "1e-6 in the sigmoid's denominator", lambda w, X, y: X.T @ (1 / (1 + np.exp(-X @ w) + 1e-6) - y) / len(y))
logistic.spoil("sign", "2e-9", "entry sign", "float32 result")


def _mse(W: Any, b: Any, X: Any, T: Any) -> Any:
    return jnp.mean((X @ W + b - T) ** 2)


def _mse_gradient(W: Any, b: Any, X: Any, T: Any) -> Any:
    R = 2 * (X @ W + b - T) / T.size
    return X.T @ R, jnp.sum(R, axis=0)


mse = _problem(
    "mean squared error", "jax", _mse, real("p q>=1"), real("q>=1"), held(real("n>=1 p")), held(real("n>=1 q>=1")), grad=_mse_gradient
)
mse.but("broadcast", "the bias's gradient is not summed", lambda W, b, X, T: (_mse_gradient(W, b, X, T)[0], 2 * (X @ W + b - T) / T.size))
mse.but(
    "broadcast", "the bias's gradient is the mean", lambda W, b, X, T: (_mse_gradient(W, b, X, T)[0], _mse_gradient(W, b, X, T)[1] / len(T))
)
mse.but("size-dependent factor", "divided by n", lambda W, b, X, T: tuple(g * T.shape[1] for g in _mse_gradient(W, b, X, T)))
mse.but("size-dependent factor", "not divided", lambda W, b, X, T: tuple(g * T.size for g in _mse_gradient(W, b, X, T)))
mse.but("dropped term", "the bias is forgotten", lambda W, b, X, T: (_mse_gradient(W, 0 * b, X, T)[0], _mse_gradient(W, b, X, T)[1]))
mse.but("dropped term", "no targets", lambda W, b, X, T: _mse_gradient(W, b, X, 0 * T))
mse.but("swapped results", "gradients in the wrong order", lambda W, b, X, T: _mse_gradient(W, b, X, T)[::-1])
mse.spoil("half", "sign/1", "1e-3/0", "entry 1e-6/1", "float32 inside")


def _layer_norm(X: Any, gamma: Any, beta: Any) -> Any:
    centred = X - X.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5) * gamma + beta


def _layer_norm_vjp(X: Any, gamma: Any, _: Any, G: Any, epsilon: float = 1e-5, ddof: int = 0, keep: tuple[int, int] = (1, 1)) -> Any:
    centred = X - X.mean(axis=1, keepdims=True)
    s = np.sqrt(centred.var(axis=1, keepdims=True) + epsilon)
    normal = centred / s
    D = G * gamma
    means = keep[0] * D.mean(axis=1, keepdims=True) + keep[1] * normal * (D * normal).sum(axis=1, keepdims=True) / max(X.shape[1] - ddof, 1)
    return (D - means) / s, (G * normal).sum(0), G.sum(0)


layer_norm = _problem("layer norm", "numpy", _layer_norm, real("n p>=1"), real("p>=1"), real("p>=1"), vjp=_layer_norm_vjp)
layer_norm.but("dropped term", "the mean's", lambda *a: _layer_norm_vjp(*a, keep=(0, 1)))
layer_norm.but("dropped term", "the variance's", lambda *a: _layer_norm_vjp(*a, keep=(1, 0)))
layer_norm.but("size-dependent factor", "divided by p - 1", lambda *a: _layer_norm_vjp(*a, ddof=1))
layer_norm.but("epsilon", "1e-6 for 1e-5", lambda *a: _layer_norm_vjp(*a, epsilon=1e-6))
layer_norm.but(
    "broadcast",
    "the gradient of gamma is not summed",
    lambda X, gamma, beta, G: (*_layer_norm_vjp(X, gamma, beta, G)[:1], G * (_layer_norm(X, gamma, beta) - beta), G.sum(0)),
)
layer_norm.but(
    "swapped factors",
    "gamma multiplied after the means",
    lambda X, gamma, beta, G: (_layer_norm_vjp(X, np.ones_like(gamma), beta, G)[0] * gamma, *_layer_norm_vjp(X, gamma, beta, G)[1:]),
)
layer_norm.but(
    "wrong at zeros",
    "normal values from the output, divided by gamma",
    lambda X, gamma, beta, G: (
        _layer_norm_vjp(X, gamma, beta, G)[0],
        (G * (_layer_norm(X, gamma, beta) - beta) / gamma).sum(0),
        G.sum(0),
    ),
    [[1.0, 2.0]],
    [0.0, 1.0],
    [0.0, 0.0],
)
layer_norm.but("absolute value", "of the cotangent", lambda X, gamma, beta, G: _layer_norm_vjp(X, gamma, beta, abs(G)))
layer_norm.spoil("sign/1", "2e-9/0", "entry zero/2", "doubles its input")


def _batch_norm(X: Any) -> Any:
    centred = X - jnp.mean(X, axis=0)
    return centred / jnp.sqrt(jnp.mean(centred**2, axis=0) + 1e-5)


def _batch_norm_jvp(X: Any, dX: Any, *, centre: int = 1, spread: float = 1.0, ddof: int = 0, epsilon: float = 1e-5) -> Any:
    centred = X - jnp.mean(X, axis=0)
    s = jnp.sqrt(jnp.mean(centred**2, axis=0) + epsilon)
    d = dX - centre * jnp.mean(dX, axis=0)
    return (d - spread * centred / s**2 * jnp.sum(centred * d, axis=0) / max(len(X) - ddof, 1)) / s


batch_norm = _problem("batch norm", "jax", _batch_norm, real("n>=1 p"), jvp=_batch_norm_jvp)
batch_norm.but("dropped term", "the tangent is not centred", lambda X, dX: _batch_norm_jvp(X, dX, centre=0))
batch_norm.but("dropped term", "the variance's", lambda X, dX: _batch_norm_jvp(X, dX, spread=0))
batch_norm.but("factor", "the variance's term doubled", lambda X, dX: _batch_norm_jvp(X, dX, spread=2))
batch_norm.but("sign", "of the variance's term", lambda X, dX: _batch_norm_jvp(X, dX, spread=-1))
batch_norm.but("size-dependent factor", "divided by n - 1", lambda X, dX: _batch_norm_jvp(X, dX, ddof=1))
batch_norm.but("epsilon", "1e-6 for 1e-5", lambda X, dX: _batch_norm_jvp(X, dX, epsilon=1e-6))
batch_norm.but("wrong side", "over rows for columns", lambda X, dX: _batch_norm_jvp(X.T, dX.T).T)
batch_norm.spoil("2e-9", "absolute", "entry 1e-3", "float32 result")


def _relu_network(W: Any, b: Any, v: Any, x: Any) -> Any:
    return v @ np.maximum(W @ x + b, 0)


def _relu_network_gradient(W: Any, b: Any, v: Any, x: Any) -> Any:
    z = W @ x + b
    d = v * (z > 0)
    return np.outer(d, x), d, np.maximum(z, 0)


def _relu_network_with(mask: Function) -> Function:
    def gradient(W: Any, b: Any, v: Any, x: Any) -> Any:
        z = W @ x + b
        d = v * mask(z)
        return np.outer(d, x), d, np.maximum(z, 0)

    return gradient


relu_network = _problem(
    "relu network", "numpy", _relu_network, real("n p"), real("n"), real("n"), held(real("p")), grad=_relu_network_gradient
)
_KINK = ([[0.0, 0.0]], [0.0], [1.0], [1.0, 2.0])
relu_network.but("dropped term", "no mask", _relu_network_with(np.ones_like))
relu_network.but("sign", "the mask is turned round", _relu_network_with(lambda z: z < 0))
relu_network.but("wrong at zeros", "the mask is h / z", _relu_network_with(lambda z: np.maximum(z, 0) / z), *_KINK)
relu_network.but("wrong at zeros", "2 at the kink", _relu_network_with(lambda z: np.where(z == 0, 2.0, z > 0)), *_KINK)
relu_network.but("factor", "a leak of 0.01", _relu_network_with(lambda z: np.where(z > 0, 1.0, 0.01)))
relu_network.but(
    "swapped factors",
    "x dᵀ for d xᵀ",
    lambda W, b, v, x: (_relu_network_gradient(W, b, v, x)[0].T, *_relu_network_gradient(W, b, v, x)[1:]),
)
relu_network.but("dropped term", "no relu in the last gradient", lambda W, b, v, x: (*_relu_network_gradient(W, b, v, x)[:2], W @ x + b))
relu_network.but(
    "epsilon", "a sigmoid of slope 1e6 for the mask", _relu_network_with(lambda z: expit(1e6 * z)), [[1.0]], [1e-7], [1.0], [0.0]
)
relu_network.spoil("relu", "sign/1", "entry zero/0", "accumulates", "2e-9")


def _tanh_network(W: Any, V: Any, x: Any) -> Any:
    return jnp.sum((V @ jnp.tanh(W @ x)) ** 2) / 2


def _tanh_network_with(slope: Function, turn: Function = lambda V: V.T) -> Function:
    def gradient(W: Any, V: Any, x: Any) -> Any:
        h = jnp.tanh(W @ x)
        y = V @ h
        return jnp.outer((turn(V) @ y) * slope(h), x), jnp.outer(y, h)

    return gradient


_tanh_network_gradient = _tanh_network_with(lambda h: 1 - h * h)
tanh_network = _problem("tanh network", "jax", _tanh_network, real("n p"), real("q n"), held(real("p")), grad=_tanh_network_gradient)
tanh_network.but("dropped term", "1 - h for 1 - h²", _tanh_network_with(lambda h: 1 - h))
tanh_network.but("dropped term", "no slope", _tanh_network_with(jnp.ones_like))
tanh_network.but("sign", "1 + h²", _tanh_network_with(lambda h: 1 + h * h))
tanh_network.but("dropped transpose", "V for Vᵀ: right for symmetric V", _tanh_network_with(lambda h: 1 - h * h, lambda V: V))
tanh_network.but(
    "swapped factors", "h yᵀ for y hᵀ", lambda W, V, x: (_tanh_network_gradient(W, V, x)[0], _tanh_network_gradient(W, V, x)[1].T)
)
tanh_network.but("swapped results", "gradients in the wrong order", lambda W, V, x: _tanh_network_gradient(W, V, x)[::-1])
tanh_network.but(
    "size-dependent factor", "divided by q", lambda W, V, x: tuple(g / max(len(V), 1) for g in _tanh_network_gradient(W, V, x))
)
tanh_network.spoil("twice/0", "1e-6/1", "entry sign/0", "float32 inside", "remembers")


def _attention(Q: Any, K: Any, V: Any) -> Any:
    return jax.nn.softmax(Q @ K.T / np.sqrt(Q.shape[1]), axis=1) @ V


def _attention_vjp(Q: Any, K: Any, V: Any, G: Any, *, scale: float | None = None, keep: float = 1.0, axis: int = 1) -> Any:
    c = 1 / np.sqrt(Q.shape[1])
    S = jax.nn.softmax(c * Q @ K.T, axis=1)
    D = G @ V.T
    Z = (c if scale is None else scale) * S * (D - keep * jnp.sum(D * S, axis=axis, keepdims=True))
    return Z @ K, Z.T @ Q, S.T @ G


attention = _problem("attention", "jax", _attention, real("n k>=1"), real("m>=1 k>=1"), real("m>=1 p"), vjp=_attention_vjp)
attention.but("size-dependent factor", "the scale is forgotten", lambda *a: _attention_vjp(*a, scale=1.0))
attention.but("size-dependent factor", "1 / k for 1 / √k", lambda *a: _attention_vjp(*a, scale=1 / a[0].shape[1]))
attention.but("dropped term", "softmax's second term", lambda *a: _attention_vjp(*a, keep=0))
attention.but("sign", "of softmax's second term", lambda *a: _attention_vjp(*a, keep=-1))
attention.but("wrong side", "summed over queries", lambda *a: _attention_vjp(*a, axis=0))


def _first_two_swapped(gradients: Function) -> Function:
    def swapped(*arguments: Any) -> Any:
        first, second, third = gradients(*arguments)
        return second, first, third

    return swapped


attention.but("swapped results", "gradients of Q and K swapped", _first_two_swapped(_attention_vjp))
attention.but("absolute value", "of the cotangent", lambda Q, K, V, G: _attention_vjp(Q, K, V, abs(G)))
attention.spoil("half/1", "sign/2", "1e-6/0", "entry zero/2")

# --- kernels and densities -----------------------------------------------------------------------------------------------------


def _squared_distances(X: Any) -> Any:
    differences = X[:, None, :] - X[None, :, :]
    return (differences**2).sum(axis=2)


def _rbf(X: Any, l: Any) -> Any:
    return np.exp(-_squared_distances(X) / (2 * l * l)).sum()


def _rbf_gradient(X: Any, l: Any) -> Any:
    D = _squared_distances(X)
    K = np.exp(-D / (2 * l * l))
    return -2 / l**2 * (K[:, :, None] * (X[:, None, :] - X[None, :, :])).sum(axis=1), (K * D).sum() / l**3


rbf = _problem("RBF kernel sum", "numpy", _rbf, real("n p"), positive(), grad=_rbf_gradient)
rbf.but("factor", "each pair counted once", lambda X, l: (_rbf_gradient(X, l)[0] / 2, _rbf_gradient(X, l)[1]))
rbf.but("factor", "l² for l³", lambda X, l: (_rbf_gradient(X, l)[0], _rbf_gradient(X, l)[1] * l))
rbf.but("dropped term", "not divided by l²", lambda X, l: (_rbf_gradient(X, l)[0] * l**2, _rbf_gradient(X, l)[1]))
rbf.but("epsilon", "l² + 1e-6", lambda X, l: (_rbf_gradient(X, l)[0] * l**2 / (l**2 + 1e-6), _rbf_gradient(X, l)[1]))
rbf.but(
    "dropped term",
    "no kernel, X centred",
    lambda X, l: (-2 / l**2 * len(X) * (X - X.sum(0) / max(len(X), 1)), _rbf_gradient(X, l)[1]),
)
rbf.but("size-dependent factor", "mean for sum", lambda X, l: tuple(np.asarray(g / max(len(X) ** 2, 1)) for g in _rbf_gradient(X, l)))
rbf.but(
    "wrong at ties",
    "unit differences: not a number where points agree",
    lambda X, l: (_rbf_by_units(X, l), _rbf_gradient(X, l)[1]),
    [[1.0], [1.0], [2.0]],
    1.0,
)


def _rbf_by_units(X: Any, l: Any) -> Any:
    r = np.sqrt(_squared_distances(X)) + np.eye(len(X))
    units = (X[:, None, :] - X[None, :, :]) / r[:, :, None]
    return -2 / l**2 * ((np.exp(-(r**2) / (2 * l * l)) * r)[:, :, None] * units).sum(axis=1)


rbf.spoil("sign/0", "entry sign/0", "2e-9/1", "float32 inside", "accumulates")


def _gaussian(x: Any, mu: Any, Sigma: Any) -> Any:
    r = x - mu
    return -(r @ solve(Sigma, r) + np.linalg.slogdet(Sigma)[1] + len(x) * np.log(2 * np.pi)) / 2


def _gaussian_gradient(x: Any, mu: Any, Sigma: Any) -> Any:
    a = solve(Sigma, x - mu)
    return -a, a, (np.outer(a, a) - inv(Sigma)) / 2


gaussian = _problem("Gaussian log density", "numpy", _gaussian, real("n"), real("n"), positive_definite("n"), grad=_gaussian_gradient)
gaussian.but("swapped results", "gradients of x and mu swapped", _first_two_swapped(_gaussian_gradient))
gaussian.but(
    "dropped term", "no log det", lambda x, mu, S: (*_gaussian_gradient(x, mu, S)[:2], np.outer(solve(S, x - mu), solve(S, x - mu)) / 2)
)
gaussian.but("sign", "of the inverse", lambda x, mu, S: (*_gaussian_gradient(x, mu, S)[:2], _gaussian_gradient(x, mu, S)[2] + inv(S)))
gaussian.but(
    "symmetrisation",
    "doubled off the diagonal (vech)",
    lambda x, mu, S: (*_gaussian_gradient(x, mu, S)[:2], _vech(_gaussian_gradient(x, mu, S)[2])),
)
gaussian.but("dropped term", "no covariance", lambda x, mu, S: (mu - x, x - mu, _gaussian_gradient(x, mu, S)[2]))
gaussian.but("epsilon", "Σ + 1e-6 I", lambda x, mu, S: _gaussian_gradient(x, mu, S + 1e-6 * np.eye(len(S))))


def _gaussian_with_cut(x: Any, mu: Any, Sigma: Any) -> Any:
    a = np.linalg.pinv(Sigma, rcond=1e-6) @ (x - mu)
    return -a, a, _gaussian_gradient(x, mu, Sigma)[2]


gaussian.but(
    "wrong when ill-conditioned",
    "pseudo-inverse with a cut-off",
    _gaussian_with_cut,
    [1.0, 1.0],
    [0.0, 0.0],
    [[1.0, 0.0], [0.0, 1e-7]],
)
gaussian.spoil("twice/2", "1e-3/1", "float32 result", "entry zero/2", "remembers")


def _gp_kernel(t: Any, l: Any, s: Any) -> Any:
    return s**2 * jnp.exp(-((t[:, None] - t[None, :]) ** 2) / (2 * l**2))


def _gp(t: Any, y: Any, l: Any, s: Any) -> Any:
    K = _gp_kernel(t, l, s) + 0.1 * jnp.eye(len(t))
    L = jnp.linalg.cholesky(K)
    return -jnp.sum(solve_triangular(L, y, lower=True) ** 2) / 2 - jnp.sum(jnp.log(jnp.diagonal(L)))


def _gp_gradient(t: Any, y: Any, l: Any, s: Any, *, logdet: float = 1.0, fit: float = 1.0, noise: float = 0.1, power: int = 3) -> Any:
    K = _gp_kernel(t, l, s)
    Y = jnp.linalg.inv(K + noise * jnp.eye(len(t)))
    a = Y @ y
    W = (fit * jnp.outer(a, a) - logdet * Y) / 2
    return -a, jnp.sum(W * K * (t[:, None] - t[None, :]) ** 2) / l**power, 2 * jnp.sum(W * K) / s


gp = _problem("GP marginal likelihood", "jax", _gp, held(distinct("n")), real("n"), positive(), positive(), grad=_gp_gradient)
gp.but("dropped term", "no log det", lambda *a: _gp_gradient(*a, logdet=0))
gp.but("sign", "of the log det", lambda *a: _gp_gradient(*a, logdet=-1))
gp.but("dropped term", "no fit", lambda *a: _gp_gradient(*a, fit=0))
gp.but("factor", "the fit is not halved", lambda *a: _gp_gradient(*a, fit=2))
gp.but("factor", "l² for l³", lambda *a: _gp_gradient(*a, power=2))
gp.but("epsilon", "noise 0.1 + 1e-6", lambda *a: _gp_gradient(*a, noise=0.1 + 1e-6))
gp.but("size-dependent factor", "divided by n", lambda t, *a: tuple(g / max(len(t), 1) for g in _gp_gradient(t, *a)))
gp.spoil("sign/0", "half/2", "2e-9/1", "entry 1e-6/0", "float32 inside")


def _mahalanobis(x: Any, P: Any) -> Any:
    return jnp.sqrt(x @ jnp.linalg.solve(P, x))


def _mahalanobis_gradient(x: Any, P: Any, epsilon: float = 0.0) -> Any:
    a = jnp.linalg.solve(P, x)
    d = jnp.sqrt(x @ a) + epsilon
    return a / d, -jnp.outer(a, a) / (2 * d)


mahalanobis = _problem("Mahalanobis distance", "jax", _mahalanobis, punctured("n"), positive_definite("n"), grad=_mahalanobis_gradient)
mahalanobis.but("epsilon", "1e-6 in the denominator", lambda x, P: _mahalanobis_gradient(x, P, 1e-6))
mahalanobis.but("dropped term", "of the squared distance", lambda x, P: (2 * jnp.linalg.solve(P, x), _mahalanobis_gradient(x, P)[1]))
mahalanobis.but(
    "dropped term",
    "not divided by the distance",
    lambda x, P: (_mahalanobis_gradient(x, P)[0], -jnp.outer(jnp.linalg.solve(P, x), jnp.linalg.solve(P, x)) / 2),
)
mahalanobis.but("dropped term", "x in the place of P⁻¹x", lambda x, P: (x / _mahalanobis(x, P), _mahalanobis_gradient(x, P)[1]))
mahalanobis.but(
    "symmetrisation",
    "doubled off the diagonal (vech)",
    lambda x, P: (_mahalanobis_gradient(x, P)[0], _vech(_mahalanobis_gradient(x, P)[1])),
)
mahalanobis.but("wrong side", "P x for P⁻¹ x", lambda x, P: (P @ x / _mahalanobis(x, P), _mahalanobis_gradient(x, P)[1]))
mahalanobis.spoil("sign/1", "twice/1", "2e-9/0", "entry sign/0", "accumulates")


def _cosine(x: Any, y: Any) -> Any:
    return x @ y / (np.linalg.norm(x) * np.linalg.norm(y))


def _cosine_gradient(x: Any, y: Any, epsilon: float = 0.0) -> Any:
    p, q = np.linalg.norm(x), np.linalg.norm(y)
    c = _cosine(x, y)
    return y / (p * q + epsilon) - c * x / p**2, x / (p * q + epsilon) - c * y / q**2


cosine = _problem("cosine similarity", "numpy", _cosine, punctured("n"), punctured("n"), grad=_cosine_gradient)
cosine.but("dropped term", "no projection", lambda x, y: (y / (np.linalg.norm(x) * np.linalg.norm(y)), _cosine_gradient(x, y)[1]))
cosine.but("swapped results", "gradients in the wrong order", lambda x, y: _cosine_gradient(x, y)[::-1])
cosine.but("epsilon", "1e-6 in the denominator", lambda x, y: _cosine_gradient(x, y, 1e-6))
cosine.but(
    "dropped term",
    "‖x‖ for ‖x‖²",
    lambda x, y: (
        _cosine_gradient(x, y)[0] + _cosine(x, y) * x * (1 / np.linalg.norm(x) ** 2 - 1 / np.linalg.norm(x)),
        _cosine_gradient(x, y)[1],
    ),
)
cosine.but(
    "sign",
    "of the projection",
    lambda x, y: (_cosine_gradient(x, y)[0] + 2 * _cosine(x, y) * x / np.linalg.norm(x) ** 2, _cosine_gradient(x, y)[1]),
)
cosine.but(
    "wrong at other signs",
    "|cos| in the projection",
    lambda x, y: (y / (np.linalg.norm(x) * np.linalg.norm(y)) - abs(_cosine(x, y)) * x / np.linalg.norm(x) ** 2, _cosine_gradient(x, y)[1]),
    [1.0, 2.0],
    [-1.0, -0.5],
)
cosine.spoil("twice/0", "2e-9/1", "entry zero/0", "absolute/1", "doubles its input")

# --- second derivatives --------------------------------------------------------------------------------------------------------


def _logsumexp_hessian(x: Any) -> Any:
    p = jax.nn.softmax(x)
    return jnp.diag(p) - jnp.outer(p, p)


logsumexp_hessian = _problem("log-sum-exp, Hessian", "jax", jax.nn.logsumexp, real("n>=1"), hessian=_logsumexp_hessian)
logsumexp_hessian.but("sign", "diag(p) + p pᵀ", lambda x: _logsumexp_hessian(x) + 2 * jnp.outer(jax.nn.softmax(x), jax.nn.softmax(x)))
logsumexp_hessian.but("dropped term", "diag(p)", lambda x: jnp.diag(jax.nn.softmax(x)))
logsumexp_hessian.but("dropped term", "the diagonal alone", lambda x: jnp.diag(jnp.diag(_logsumexp_hessian(x))))
logsumexp_hessian.but("symmetrisation", "the upper triangle alone", lambda x: jnp.triu(_logsumexp_hessian(x)))
logsumexp_hessian.but("size-dependent factor", "divided by n", lambda x: _logsumexp_hessian(x) / len(x))
logsumexp_hessian.spoil("sign", "absolute", "1e-3", "entry zero", "1e-6", "float32 inside")


def _quartic(x: Any, A: Any) -> Any:
    return np.sum(x**4) + x @ A @ x / 2


quartic = _problem(
    "Σ x⁴ + ½ xᵀAx, Hessian", "numpy", _quartic, real("n"), held(real("n n")), hessian=lambda x, A: np.diag(12 * x**2) + (A + A.T) / 2
)
quartic.but("symmetrisation", "A for its symmetric part", lambda x, A: np.diag(12 * x**2) + A)
quartic.but("factor", "A + Aᵀ", lambda x, A: np.diag(12 * x**2) + A + A.T)
quartic.but("factor", "4 x² for 12 x²", lambda x, A: np.diag(4 * x**2) + (A + A.T) / 2)
quartic.but("dropped term", "no A", lambda x, A: np.diag(12 * x**2) + 0 * A)
quartic.but("dropped term", "no x", lambda x, A: (A + A.T) / 2 + 0 * x)
quartic.but("wrong for other shapes", "12 x² added to every row: right for n = 1", lambda x, A: 12 * x**2 + (A + A.T) / 2)
quartic.but("wrong at other signs", "12 x |x|", lambda x, A: np.diag(12 * x * abs(x)) + (A + A.T) / 2)
quartic.spoil("sign", "entry 1e-3", "1e-6", "float32 result")


# --- the data check themselves -------------------------------------------------------------------------------------------------


def answers(problem: Problem, derivative: Function, point: Point, probes: Point) -> tuple[Any, ...]:
    """What a derivative answers at a point, as arrays; probes are tangents or the cotangent where its form takes them."""
    arguments = [np.array(x) for x in (*point, *probes)]
    if problem.library == "jax":
        arguments = [jnp.asarray(a) for a in arguments]
    return tuple(np.asarray(part) for part in parts(derivative(*arguments)))


def draw_probes(problem: Problem, point: Point, rng: np.random.Generator) -> Point:
    """Random tangents for a jvp, a random cotangent for a vjp, nothing for the other forms."""
    if problem.form == "jvp":
        return tuple(np.asarray(problem.domains[i].tangent(point[i], rng.standard_normal(point[i].shape))) for i in problem.free)
    if problem.form == "vjp":
        return (rng.standard_normal(np.shape(problem.function(*point))),)
    return ()


def _seen(problem: Problem, point: Point, answer: tuple[Any, ...]) -> tuple[Any, ...]:
    """The part of an answer that counts: gradients are projected on the tangent spaces unless they must lie in them."""
    if problem.form not in {"grad", "vjp"}:
        return answer
    pairs = zip(problem.free, answer, strict=True)
    return tuple(g if problem.domains[i].tangent_only else problem.domains[i].tangent(point[i], g) for i, g in pairs)


def distance(problem: Problem, wrong: Wrong) -> float:
    """How far a wrong version is from the right one: at the inputs recorded with it, or at the worst of a few ordinary points."""
    return max(_distance(problem, wrong, seed) for seed in range(1 if wrong.at else 4))


def _distance(problem: Problem, wrong: Wrong, seed: int) -> float:
    """The same at one point, relative to the right one's size; infinite if they differ in more than numbers."""
    rng = np.random.default_rng(seed)
    point = problem.point(rng) if wrong.at is None else wrong.at
    probes = draw_probes(problem, point, rng)
    derivative = wrong.make()
    given = [np.array(x) for x in (*point, *probes)]
    before = [x.copy() for x in given]
    right = answers(problem, problem.right, point, probes)
    if wrong.kind == "accumulated state":
        answers(problem, derivative, problem.point(rng), probes)
    try:
        if wrong.kind == "mutation":
            derivative(*given)
        got = answers(problem, derivative, point, probes)
    except (ValueError, TypeError, IndexError):
        return float("inf")  # it cannot be called there
    if any(not np.array_equal(a, b) for a, b in zip(given, before, strict=True)):
        return float("inf")
    if [(g.shape, g.dtype) for g in got] != [(r.shape, r.dtype) for r in right]:
        return float("inf")
    pairs = zip(_seen(problem, point, got), _seen(problem, point, right), strict=True)
    apart = [float(np.max(abs(g - r)) / max(np.max(abs(r)), 1e-300)) for g, r in pairs if g.size]
    return float("inf") if np.isnan(apart).any() else max(apart)


def error_of_right(problem: Problem, seed: int = 0) -> float:
    """How far the right derivative is from extrapolated central differences of the function, relative to its size."""
    rng = np.random.default_rng(seed)
    point = problem.point(rng)
    tangents = {i: np.asarray(problem.domains[i].tangent(point[i], rng.standard_normal(point[i].shape))) for i in problem.free}
    function = gradient_of(problem) if problem.form == "hessian" else problem.function

    def at(step: float) -> Any:
        moved = [x + step * tangents[i] if i in tangents else x for i, x in enumerate(point)]
        return np.asarray(function(*(jnp.asarray(x) for x in moved) if problem.library == "jax" else moved))

    def central(step: float) -> Any:
        return (at(step) - at(-step)) / (2 * step)

    h = 2e-3
    once = [(4 * central(h / 2**k / 2) - central(h / 2**k)) / 3 for k in range(2)]
    expected = (16 * once[1] - once[0]) / 15
    cotangent = rng.standard_normal(expected.shape)
    probes = tuple(tangents.values()) if problem.form == "jvp" else (cotangent,) if problem.form == "vjp" else ()
    answer = answers(problem, problem.right, point, probes)
    if problem.form == "jvp":
        got = answer[0]
    elif problem.form in {"jacobian", "hessian"}:
        got = sum(np.tensordot(J, t, axes=t.ndim) for J, t in zip(answer, tangents.values(), strict=True))
    else:
        expected = np.sum(expected * cotangent) if problem.form == "vjp" else expected
        got = sum(np.sum(g * t) for g, t in zip(answer, tangents.values(), strict=True))
    return float(np.max(abs(got - expected)) / max(np.max(abs(expected)), 1e-300))


def gradient_of(problem: Problem) -> Function:
    """The gradient of a function whose Hessian is claimed."""
    gradients: dict[str, Function] = {
        "log-sum-exp, Hessian": jax.nn.softmax,
        "Σ x⁴ + ½ xᵀAx, Hessian": lambda x, A: 4 * x**3 + (A + A.T) @ x / 2,
    }
    return gradients[problem.name]


def faults() -> list[str]:
    """What is wrong with the data: right versions that are not right, wrong ones that are not wrong."""
    found: list[str] = []
    with jax.enable_x64(True), catch_warnings():
        simplefilter("ignore", RuntimeWarning)
        for problem in PROBLEMS:
            error = error_of_right(problem)
            if not error < 1e-8:
                found.append(f"{problem.name}: the right derivative is off by {error:.1e}")
            if len(problem.wrong) < 8:
                found.append(f"{problem.name}: {len(problem.wrong)} wrong versions")
            for wrong in problem.wrong:
                apart = distance(problem, wrong)
                if not apart > LEAST:
                    found.append(f"{problem.name}: {wrong.kind}: {wrong.note}: differs by {apart:.1e} only")
    return found


def main() -> int:
    """Print how many wrong versions there are of each class, and what is wrong with the data."""
    kinds = Counter(wrong.kind for problem in PROBLEMS for wrong in problem.wrong)
    libraries = Counter(problem.library for problem in PROBLEMS)
    print(
        f"{len(PROBLEMS)} functions ({', '.join(f'{n} {name}' for name, n in libraries.items())}), {sum(kinds.values())} wrong versions\n"
    )
    print("| class | wrong versions |\n|---|--:|")
    for kind, count in sorted(kinds.items()):
        print(f"| {kind} | {count} |")
    found = faults()
    print("\n" + "\n".join(found) if found else "\nEvery right version is right, and every wrong version is wrong where it says.")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
