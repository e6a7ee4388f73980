"""`matcalc.check` judges derivatives as people write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import matcalc
from matcalc.cases import Profile
from matcalc.checking import _Parts  # pyright: ignore[reportPrivateUsage]
from matcalc.domain import (
    distinct,
    held,
    invertible,
    lower_triangular,
    nonzero,
    one_hot,
    positive,
    positive_definite,
    punctured,
    real,
    scaled,
    signs,
    simplex,
)
from matcalc.oracle import complex_step, differences
from matcalc.verdict import Status

ROOT = Path(__file__).parent.parent
FEW = Profile(cases=24, probes=2, perturbations=2, differenced=8)


def logdet(K: Any) -> Any:
    return np.linalg.slogdet(K)[1]


def solve(A: Any, b: Any) -> Any:
    return np.linalg.solve(A, b)


def solve_vjp(A: Any, b: Any, u: Any) -> Any:
    w = np.linalg.solve(A.T, u)
    return -np.outer(w, np.linalg.solve(A, b)), w


def cubes(x: Any) -> Any:
    return np.sum(x**3)


def jax_logdet(K: Any) -> Any:
    return jnp.linalg.slogdet(K)[1]


def remembering_none(x: Any) -> Any:
    return np.random.default_rng().standard_normal() * x


RIGHT: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any]]] = {
    "NumPy grad": (logdet, (invertible("n"),), {"grad": lambda K: np.linalg.inv(K).T}),
    "NumPy vjp of two inputs": (solve, (invertible("n"), real("n")), {"vjp": solve_vjp}),
    "NumPy jvp": (solve, (invertible("n"), real("n")), {"jvp": lambda A, b, dA, db: solve(A, db - dA @ solve(A, b))}),
    "jvp as a pair": (cubes, (real("n"),), {"jvp": lambda x, t: (cubes(x), 3 * x**2 @ t)}),
    "jacobian": (lambda x: np.exp(x), (real("n"),), {"jacobian": lambda x: np.diag(np.exp(x))}),
    "jacobian of a scalar": (cubes, (real("n"),), {"jacobian": lambda x: 3 * x**2}),
    "hessian alone": (cubes, (real("n"),), {"hessian": lambda x: np.diag(6 * x)}),
    "hessian and gradient": (cubes, (real("n"),), {"grad": lambda x: 3 * x**2, "hessian": lambda x: np.diag(6 * x)}),
    "JAX grad": (jax_logdet, (invertible("n"),), {"grad": lambda K: jnp.linalg.inv(K).T}),
    "JAX hessian": (lambda x: jnp.sum(jnp.tanh(x)), (real("n"),), {"hessian": lambda x: jnp.diag(-2 * jnp.tanh(x) / jnp.cosh(x) ** 2)}),
    "a JAX function, a NumPy gradient": (jax_logdet, (invertible("n"),), {"grad": lambda K: np.linalg.inv(np.asarray(K)).T}),
    "several outputs": (lambda x: (x[0], np.sum(x)), (real("n"),), {"vjp": lambda x, u, v: u * (np.arange(x.size) == 0) + v}),
    "a symmetric input": (logdet, (positive_definite("n"),), {"grad": lambda K: np.linalg.inv(K)}),
    "a held input": (lambda x, y: -np.sum(y * np.log(x)), (simplex("k"), held(one_hot("k"))), {"grad": lambda x, y: -y / x}),
    "near here": (logdet, (np.array([[2.0, 1.0], [0.5, 3.0]]),), {"grad": lambda K: np.linalg.inv(K).T}),
    "integers are held": (lambda x, k: np.sum(x**2) * k.sum(), (np.arange(1.0, 4), np.arange(3)), {"grad": lambda x, k: 2 * x * k.sum()}),
    "a kink, and a subgradient": (lambda x: np.sum(np.abs(x)), (np.zeros(3),), {"grad": np.sign}),
    "no array standard, no JAX": (lambda x: float(sum(float(t) ** 2 for t in x)), (real("n"),), {"grad": lambda x: 2 * x}),
    "in place, on a copy": (lambda x: _filled(x).sum(), (real("n"),), {"grad": lambda x: 2 * np.ones_like(x)}),
}


def _filled(x: Any) -> Any:
    out = np.empty((2, x.size))
    out[0] = x
    out[1] = x
    return out


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_right_derivative_is_good(name: str, seed: int) -> None:
    f, inputs, claims = RIGHT[name]
    verdict = matcalc.check(f, *inputs, seed=seed, **claims)
    assert verdict.status.good or (name == "a kink, and a subgradient" and verdict.status is not Status.REFUTED), str(verdict)


@lru_cache
def _state() -> list[Any]:
    return []


def remembering(K: Any) -> Any:
    _state().append(np.linalg.inv(K).T)
    return sum(_state()[-2:])


def writing(x: Any) -> Any:
    gradient = 3 * x**2
    x[...] = 0
    return gradient


def with_one_entry_zero(K: Any) -> Any:
    G = np.linalg.inv(K).T
    G[-1, 0] = 0
    return G


WRONG: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any]]] = {
    "transposed": (logdet, (invertible("n"),), {"grad": lambda K: np.linalg.inv(K)}),
    "a relative 2e-9": (logdet, (invertible("n"),), {"grad": lambda K: np.linalg.inv(K).T * (1 + 2e-9)}),
    "one entry": (logdet, (invertible("n"),), {"grad": with_one_entry_zero}),
    "factor": (cubes, (real("n"),), {"grad": lambda x: 2 * x**2}),
    "size": (lambda x: np.mean(x**2), (real("n"),), {"grad": lambda x: 2 * x / 3}),
    "single precision": (cubes, (real("n"),), {"grad": lambda x: (3 * x.astype(np.float32) ** 2).astype(float)}),
    "state": (logdet, (invertible("n"),), {"grad": remembering}),
    "mutation": (cubes, (real("n"),), {"grad": writing}),
    "|cotangent|": (lambda x: np.exp(x), (real("n"),), {"vjp": lambda x, u: np.abs(u) * np.exp(x)}),
    "shape": (cubes, (real("n"),), {"grad": lambda x: 3 * x[:-1] ** 2}),
    "second input": (solve, (invertible("n"), real("n")), {"vjp": lambda A, b, u: (solve_vjp(A, b, u)[0], np.linalg.solve(A, u))}),
    "jvp": (solve, (invertible("n"), real("n")), {"jvp": lambda A, b, dA, db: solve(A, db + dA @ solve(A, b))}),
    "hessian": (cubes, (real("n"),), {"hessian": lambda x: np.diag(3 * x)}),
    "cut off in the smaller of two gradients": (
        solve,
        (invertible("n"), real("n")),
        {"vjp": lambda A, b, u: (solve_vjp(A, b, u)[0], np.linalg.lstsq(A.T, u, rcond=1e-6)[0])},
    ),
    "jacobian transposed": (lambda A, x: A @ x, (held(real("m n")), real("n")), {"jacobian": lambda A, x: A.T}),
    "a kink, and no subgradient": (lambda x: np.sum(np.maximum(x, 0)), (np.zeros(3),), {"grad": lambda x: 7.0 * (x >= 0)}),
    "raises": (cubes, (real("n"),), {"grad": lambda x: 1 / 0}),
    "JAX": (jax_logdet, (invertible("n"),), {"grad": lambda K: jnp.linalg.inv(K)}),
}


def slow_ones(names: Iterable[str], *slow: str) -> list[Any]:
    """All of them, some of which take seconds and have a sister that does not."""
    return [pytest.param(name, marks=[pytest.mark.slow] if name in slow else []) for name in names]


@pytest.mark.parametrize(
    "name", slow_ones(WRONG, "cut off in the smaller of two gradients", "one entry", "second input", "single precision")
)
def test_a_wrong_derivative_is_refuted(name: str) -> None:
    f, inputs, claims = WRONG[name]
    verdict = matcalc.check(f, *inputs, seed=3, **claims)
    assert verdict.status is Status.REFUTED, str(verdict)
    assert verdict.reason
    assert str(verdict).splitlines()[0].endswith(".")
    assert "<b" in verdict._repr_html_()


def test_a_verdict_says_up_to_which_sizes_it_looked() -> None:
    """What goes wrong beyond them is not seen; an array has only its own."""
    found = matcalc.check(lambda A, x: A @ x, real("m n"), real("n"), vjp=lambda A, x, u: (np.outer(u, x), A.T @ u), profile=FEW)
    assert "cases (m = 1 to 3, n = 1 to 3) beside" in str(found)
    assert "cases beside" in str(matcalc.check(cubes, np.ones(3), grad=lambda x: 3 * x**2, profile=FEW))


def test_the_mistake_is_named() -> None:
    verdict = matcalc.check(logdet, invertible("n"), grad=lambda K: np.linalg.inv(K))
    assert verdict.explanations[0].kind.startswith("transpose")
    assert verdict.counterexample is not None
    assert verdict.counterexample.sizes == {"n": 2}


def custom(backward: Any) -> Any:
    @jax.custom_vjp
    def f(X: Any) -> Any:
        return jnp.sum(X @ X)

    f.defvjp(lambda X: (f(X), X), backward)
    return f


def test_the_derivative_that_a_function_carries() -> None:
    """That of `jax.custom_vjp` and of `jax.custom_jvp` is judged against the code underneath."""
    assert matcalc.check(custom(lambda X, g: (g * (jnp.ones_like(X) @ X.T + X.T @ jnp.ones_like(X)),)), real("n n")).status.good
    assert matcalc.check(custom(lambda X, g: (g * (jnp.ones_like(X) @ X + X.T @ jnp.ones_like(X)),)), real("n n")).status is Status.REFUTED

    @jax.custom_jvp
    def cube(x: Any) -> Any:
        return x**3

    cube.defjvp(lambda at, along: (cube(*at), 2 * at[0] ** 2 * along[0]))
    assert matcalc.check(cube, real("n")).status is Status.REFUTED
    cube.defjvp(lambda at, along: (cube(*at), 3 * at[0] ** 2 * along[0]))
    assert matcalc.check(cube, real("n")).status.good


def unit(wrong: float) -> Any:
    """The direction of x, with its vjp, which is right where nothing is wrong."""

    @jax.custom_vjp
    def unit_vector(x: Any) -> Any:
        return x / jnp.linalg.norm(x)

    def forth(x: Any) -> Any:
        r = jnp.linalg.norm(x)
        return x / r, (x / r, r)

    unit_vector.defvjp(forth, lambda kept, g: ((g - (1 + wrong) * kept[0] * (kept[0] @ g)) / kept[1],))
    return unit_vector


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def power_sum(x: Any, k: int) -> Any:
    return jnp.sum(x**k)


power_sum.defvjp(lambda x, k: (power_sum(x, k), x), lambda k, x, u: (u * (k if k < 4 else 2) * x ** (k - 1),))

INSIDE: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "in a lambda": (lambda wrong: lambda x: unit(wrong)(x), (punctured("n"),)),
    "in a loss": (lambda wrong: lambda x, w: jnp.sum(w * unit(wrong)(x)), (punctured("n"), real("n"))),
    "in jit": (lambda wrong: jax.jit(unit(wrong)), (punctured("n"),)),
    "in vmap": (lambda wrong: jax.vmap(unit(wrong)), (nonzero("m n"),)),
    "in partial": (lambda wrong: partial(power_sum, k=4 if wrong else 3), (real("n"),)),
}


@pytest.mark.parametrize("name", slow_ones(INSIDE, "in a loss", "in jit", "in partial", "in vmap"))
def test_a_custom_vjp_is_judged_wherever_it_stands(name: str) -> None:
    """There is no forward mode through it, so no jvp is claimed; differences judge the vjp."""
    make, domains = INSIDE[name]
    right, wrong = (matcalc.check(make(by), *domains, profile=FEW) for by in (0.0, 1e-3))
    assert right.status is Status.VERIFIED, str(right)
    assert not {"jvp", "adjoint"} & {e.property for e in right.evidence if e.cases}
    assert wrong.status is Status.REFUTED
    assert wrong.reason.startswith("the vjp of"), wrong.reason


def test_a_custom_rule_that_raises_is_refuted_wherever_it_stands() -> None:
    def refuse(*_: Any) -> Any:
        raise ValueError("no derivative, please")

    @jax.custom_jvp
    def cube(x: Any) -> Any:
        return x**3

    cube.defjvp(refuse)
    for f in (cube, lambda X: cube(X), custom(refuse), lambda X: custom(refuse)(X)):
        assert "no derivative, please" in matcalc.check(f, real("n n"), profile=FEW).reason


def logistic_gradient(Z: Any, y: Any) -> Any:
    G = np.exp(Z - Z.max(axis=1, keepdims=True))
    G /= G.sum(axis=1, keepdims=True)
    G[np.arange(3), y.astype(int)] -= 1
    return G


def logistic(Z: Any, y: Any) -> Any:
    return np.sum(np.log(np.exp(Z).sum(axis=1))) - np.sum(Z[np.arange(3), y])


def jax_logistic(Z: Any, y: Any) -> Any:
    assert isinstance(y, jax.Array)
    return -jnp.sum(jnp.take_along_axis(jax.nn.log_softmax(Z, axis=1), y[:, None], axis=1))


def torch_logistic(Z: Any, y: Any) -> Any:
    torch = pytest.importorskip("torch")
    return torch.nn.functional.cross_entropy(Z, y, reduction="sum")


LABELS = np.array([0, 2, 1])
LOSSES = {"NumPy": logistic, "NumPy, cast": lambda Z, y: logistic(Z, y.astype(int)), "JAX": jax_logistic, "PyTorch": torch_logistic}


def by_torch(Z: Any, y: Any) -> Any:
    torch = pytest.importorskip("torch")
    return torch.softmax(Z, 1) - torch.nn.functional.one_hot(y, 4)


@pytest.mark.parametrize("library", LOSSES)
@pytest.mark.parametrize("dtype", [np.int64, *(pytest.param(dtype, marks=pytest.mark.slow) for dtype in (np.int32, np.uint8))])
def test_labels_reach_a_function_as_they_came(library: str, dtype: Any) -> None:
    """They are places in an array: a moved one, or a floating-point one, is none."""
    y = LABELS.astype(np.int64 if library == "PyTorch" else dtype)
    gradient = by_torch if library == "PyTorch" else lambda Z, y: logistic_gradient(np.array(Z), np.asarray(y))
    right = matcalc.check(LOSSES[library], real("3 4"), y, grad=gradient, profile=FEW)
    assert right.status is Status.VERIFIED, str(right)
    wrong = matcalc.check(LOSSES[library], real("3 4"), y, grad=lambda Z, y: gradient(Z, y) * 1.001, profile=FEW)
    assert wrong.status is Status.REFUTED
    assert wrong.counterexample is not None


@pytest.mark.slow
def test_a_carried_derivative_and_a_hessian_may_hang_on_labels() -> None:
    @jax.custom_vjp
    def chosen(x: Any, y: Any) -> Any:
        return jnp.sum(x[y] ** 2)

    chosen.defvjp(
        lambda x, y: (chosen(x, y), (x, y)), lambda kept, g: (jnp.zeros_like(kept[0]).at[kept[1]].add(2 * g * kept[0][kept[1]]), None)
    )
    assert matcalc.check(chosen, real("4"), LABELS, profile=FEW).status.good
    assert matcalc.check(lambda x, y: chosen(x, y), real("4"), LABELS, profile=FEW).status.good
    diagonal = np.diag([2.0, 2, 2, 0])
    for f in (lambda x, y: jnp.sum(x[y] ** 2), lambda x, y: np.sum(x[y] ** 2)):
        assert matcalc.check(f, real("4"), LABELS, hessian=lambda x, y: diagonal, profile=FEW).status.good
        assert matcalc.check(f, real("4"), LABELS, hessian=lambda x, y: 2 * diagonal, profile=FEW).status is Status.REFUTED


def test_a_mask_stays_a_mask() -> None:
    mask = np.array([True, False, True])
    for f in (lambda x, m: np.sum(x[m] ** 2), lambda x, m: jnp.sum(jnp.where(m, x, 0) ** 2)):
        assert matcalc.check(f, real("3"), mask, grad=lambda x, m: np.where(m, 2 * np.asarray(x), 0), profile=FEW).status.good


@pytest.mark.parametrize(
    ("labels", "usual"),
    [(held(one_hot("n 3")), {0.0, 1.0}), (held(signs("n 3")), {-1.0, 1.0}), (held(np.array([[0.0, 2, 5]])), {0.0, 2.0, 5.0})],
    ids=["one-hot", "signs", "whole numbers"],
)
@pytest.mark.parametrize("wrong", [0.0, pytest.param(1e-10, marks=pytest.mark.slow), 1e-3])
def test_labels_are_never_moved(labels: Any, usual: set[float], wrong: float) -> None:
    seen: set[float] = set()

    def f(x: Any, y: Any) -> Any:
        seen.update(np.asarray(y).ravel().tolist())
        return float(np.sum(x**2))

    assert matcalc.check(f, real("2"), labels, grad=lambda x, _: 2 * x * (1 + wrong), profile=FEW).status.good == (wrong == 0)
    assert seen <= usual | {-0.0}


def test_a_torch_function() -> None:
    torch = pytest.importorskip("torch")

    def function(wrong: float) -> Any:
        class Squares(torch.autograd.Function):  # type: ignore[misc]
            @staticmethod
            def forward(ctx: Any, X: Any) -> Any:
                ctx.save_for_backward(X)
                return (X @ X).sum()

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                (X,) = ctx.saved_tensors
                one = torch.ones_like(X)
                return g * (one @ X.mT + (1 + wrong) * X.mT @ one)

        return Squares.apply

    assert matcalc.check(function(0.0), real("n n")).status.good
    assert matcalc.check(function(1e-6), real("n n")).status is Status.REFUTED
    assert matcalc.check(function(0.0), torch.randn(3, 3, dtype=torch.float64, requires_grad=True)).status.good


def test_a_function_is_called_by_its_own_name() -> None:
    """Not `partial`, nor `apply`; and so are the arguments of a `torch.autograd.Function`, with and without a context of its own."""
    assert matcalc.check(partial(power_sum, k=3), real("n"), profile=FEW).rule == "power_sum"
    torch = pytest.importorskip("torch")

    class Halved(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, X: Any, b: Any) -> Any:
            ctx.save_for_backward(X, b)
            return (X * b).sum() / 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            X, b = ctx.saved_tensors
            return g * (0 * X + b) / 2, g * X.sum(0) / 2

    class Kept(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(X: Any, b: Any) -> Any:
            return (X * b).sum() / 2

        backward = Halved.backward

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            del output
            ctx.save_for_backward(*inputs)

    apply = Halved.apply
    for f, name in ((Halved.apply, "Halved"), (Kept.apply, "Kept"), (lambda X, b: apply(X, b), "f")):
        verdict = matcalc.check(f, real("m 2"), real("2"), profile=FEW)
        assert verdict.status.good, str(verdict)
        assert (verdict.rule, *verdict.inputs) == (name, "X", "b")


SPOKEN: dict[str, tuple[Any, dict[str, Any], str]] = {
    "gradient": (cubes, {"grad": lambda x: 2 * x**2}, "the gradient of cubes is not what JAX reverse gives"),
    "Jacobian": (np.exp, {"jacobian": lambda x: 2 * np.diag(np.exp(x))}, "the Jacobian of exp is not what"),
    "Hessian": (cubes, {"hessian": lambda x: np.diag(3 * x)}, "the Hessian of cubes is not what"),
    "state": (cubes, {"grad": remembering_none}, "the gradient of cubes gives another answer"),
    "count": (cubes, {"grad": lambda x: (x, x)}, "its gradient must be 1 array, one for each input, but 2 came"),
    "Hessian's shape": (cubes, {"hessian": lambda x: 6 * x}, "its Hessian has shape (3,), but must have shape (3, 3)"),
    "shape": (cubes, {"grad": lambda x: 3 * x[:, None] ** 2}, "the gradient with respect to x has shape (3, 1) at n = 3"),
}


@pytest.mark.parametrize("name", SPOKEN)
def test_a_verdict_speaks_of_what_was_claimed(name: str) -> None:
    """Not of a jvp or vjp, where nobody gave one; and it says nothing twice."""
    f, claims, said = SPOKEN[name]
    text = str(matcalc.check(f, real("n"), **claims, profile=FEW))
    assert said in text
    assert not re.search(r"\b(jvp|vjp)\b", text), text
    if name != "state":
        assert len(re.findall("must have|must be", text)) <= 2, text


@pytest.mark.parametrize(
    ("arguments", "claims", "sentence"),
    [
        ((), {"grad": abs}, r"needs the inputs of cubes"),
        ((3,), {"grad": abs}, r"x must be a domain such as real\(\"n\"\) or an array, but a int came"),
        ((real("n"),), {}, r"cubes is written with NumPy and carries no derivative; claim one with grad="),
        ((np.arange(3),), {"grad": abs}, r"every input is held"),
        ((real("n"), real("n")), {"grad": abs}, r"cubes raises TypeError on NumPy arrays"),
    ],
)
def test_a_question_without_sense_is_one_sentence(arguments: Any, claims: Any, sentence: str) -> None:
    with pytest.raises(TypeError, match=sentence) as raised:
        matcalc.check(cubes, *arguments, **claims)
    assert "\n" not in str(raised.value)


def test_a_gradient_of_what_is_no_scalar() -> None:
    with pytest.raises(ValueError, match=r"grad= is for a scalar, but f has a value of shape \(3,\)"):
        matcalc.check(lambda x: 2 * x, real("n"), grad=lambda x: x)


def test_the_users_precision_is_left_alone() -> None:
    before = jax.config.jax_enable_x64  # type: ignore[attr-defined]
    matcalc.check(jax_logdet, invertible("n"), grad=lambda K: jnp.linalg.inv(K).T)
    assert jax.config.jax_enable_x64 == before  # type: ignore[attr-defined]
    assert jnp.ones(2).dtype == jnp.float32


pytest_plugins = ["pytester"]


def test_the_fixture_fails_with_the_verdict(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import numpy as np
        from matcalc.domain import real

        def test_right(check_derivative):
            assert check_derivative(lambda x: np.sum(x**2), real("n"), grad=lambda x: 2 * x).status.good

        def test_wrong(check_derivative):
            check_derivative(lambda x: np.sum(x**2), real("n"), grad=lambda x: x)
        """
    )
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", "--matcalc-seed", "5")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*f is refuted:*", "*seed=5 repeats it*"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["check_custom_vjp", "check_autograd_function"])
def test_the_examples_hold(name: str, pytester: pytest.Pytester) -> None:
    if "torch" in (text := (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")):
        pytest.importorskip("torch")
    pytester.makepyfile(**{f"test_{name}": text})
    pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_importing_matcalc_brings_in_no_array_library() -> None:
    assert "check" in matcalc.__all__
    assert re.match(r"\d", matcalc.__version__)


def _helper(x: Any) -> Any:
    return 3 * x**2


def test_a_helper_that_is_mended_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiled program must not outlive what it was compiled from."""

    def f(x: Any) -> Any:
        return jnp.sum(x**3)

    def gradient(x: Any) -> Any:
        return _helper(x)

    assert matcalc.check(f, real("n"), grad=gradient).status.good
    monkeypatch.setitem(globals(), "_helper", lambda x: 2 * x**2)
    assert matcalc.check(f, real("n"), grad=gradient).status is Status.REFUTED
    monkeypatch.undo()
    assert matcalc.check(f, real("n"), grad=gradient).status.good


@pytest.mark.parametrize(("sharpness", "trusted"), [(1e-12, True), (1e-6, False)])
def test_the_complex_step_is_trusted_where_differences_are_sharp(sharpness: float, *, trusted: bool) -> None:
    """A term that it does not see may be hidden by a larger one, and by all that differences do not know."""
    derivative = np.linspace(1, 2, 16).reshape(8, 2)
    known = differences.Difference(derivative, sharpness * derivative, derivative[:, :, None], derivative < 0)
    assert (complex_step.accuracy([derivative[:, None]], [known]) < 1e-9) is trusted
    assert complex_step.accuracy([derivative[:, None] * 1.001], [known]) == np.inf


def test_jax_follows_a_numpy_function_with_bound_arguments() -> None:
    def log_det(library: Any, K: Any, *, power: float) -> Any:
        return power * library.linalg.slogdet(K)[1]

    verdict = matcalc.check(partial(log_det, np, power=3.0), invertible("n"), grad=lambda K: 3 * np.linalg.inv(K).T)
    assert verdict.status is Status.VERIFIED
    assert "JAX reverse" in {e.oracle for e in verdict.evidence if e.cases}


def test_nan_at_a_kink_is_neither_accepted_nor_a_mistake() -> None:
    """There is no derivative to be had there, but a value; whoever leaves the point out of the domain is verified."""
    found = matcalc.check(np.linalg.norm, real("n"), grad=lambda x: x / np.linalg.norm(x))
    assert found.status is Status.INCONCLUSIVE
    assert "x: zero" in found.reason
    assert matcalc.check(np.linalg.norm, punctured("n"), grad=lambda x: x / np.linalg.norm(x)).status is Status.VERIFIED


def _at_zero(answer: Any) -> Any:
    """Twice x; at zero, what `answer` makes of it."""
    return lambda x: 2 * x if np.any(x) else answer(x)


def _refused(_x: Any) -> Any:
    raise ValueError("no zero, please")


@pytest.mark.parametrize("f", [lambda x: np.sum(x**2), lambda x: jnp.sum(x**2)], ids=["NumPy", "JAX"])
@pytest.mark.parametrize(("answer", "said"), [(_refused, "no zero, please"), (lambda _: np.zeros(99), "(99,)")], ids=["raises", "shape"])
def test_what_fails_at_a_special_point_alone_is_refuted(f: Any, answer: Any, said: str) -> None:
    verdict = matcalc.check(f, real("n"), grad=_at_zero(answer))
    assert verdict.status is Status.REFUTED
    assert said in verdict.reason
    assert "x: zero" in verdict.reason


def test_a_function_that_raises_at_one_size_alone_is_told_of() -> None:
    """That size is among the special ones only: JAX cannot trace it there, and NumPy cannot run it at any point."""

    def f(x: Any, y: Any) -> Any:
        if y.size == 3:
            raise ValueError("not three")
        return np.sum(x**2) + np.sum(y**2)

    verdict = matcalc.check(f, real("n"), real("p"), grad=lambda x, y: (2 * x, 2 * y))
    assert any("not three" in line.note for line in verdict.census)


STEPS: dict[str, tuple[Any, dict[str, Any]]] = {
    "numpy.diff": (np.diff, {"jacobian": lambda x: np.diff(np.eye(x.size), axis=0)}),
    "all but the first": (lambda x: x[1:], {"vjp": lambda _, u: np.concatenate([np.zeros(1), u])}),
    "code that JAX cannot follow": (
        lambda x: np.array([float(t) ** 2 for t in x[1:]]),
        {"vjp": lambda x, u: np.concatenate([np.zeros(1), 2 * u * x[1:]])},
    ),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("wrong", [False, True])
def test_a_value_may_have_no_entries_at_size_one(name: str, *, wrong: bool) -> None:
    f, claims = STEPS[name]
    ((word, claim),) = claims.items()
    verdict = matcalc.check(f, real("n"), **{word: (lambda *arrays: -claim(*arrays)) if wrong else claim})
    assert verdict.status is (Status.REFUTED if wrong else Status.VERIFIED), str(verdict)
    assert not wrong or "wrong sign" in str(verdict)


@pytest.mark.parametrize(
    ("f", "came"),
    [
        (lambda _: None, "a NoneType"),
        (lambda x: {"y": x}, "a dict"),
        (lambda x: [x[0], x[1]], "a list"),
        (lambda x: np.sum(x) + 1j, "complex numbers"),
        (lambda _: np.array([None]), "an array of object"),
        (lambda x: x > 0, "an array of bool"),
    ],
)
def test_a_function_that_returns_no_array_of_real_numbers_is_told_so(f: Any, came: str) -> None:
    with pytest.raises(TypeError, match=rf"^check\(f\): f must return real numbers, .* but returned {came}"):
        matcalc.check(f, real("n 3"), vjp=lambda x, u: x * u)


@pytest.mark.parametrize("f", [lambda x: np.sum(x**2), lambda x: float(sum(float(t) ** 2 for t in x))], ids=["traced", "not traced"])
def test_a_complex_gradient_is_refuted_unless_it_is_real_all_the_same(f: Any) -> None:
    assert "complex" in matcalc.check(f, real("n"), grad=lambda x: 2 * x + 1j).reason
    assert matcalc.check(f, real("n"), grad=lambda x: 2 * x + 0j).status is Status.VERIFIED


BRANCHES: dict[str, Any] = {
    "no library": lambda x: (x**2).sum() if x[0] > 0 else (x**3).sum(),
    "NumPy": lambda x: np.sum(x**2) if x[0] > 0 else np.sum(x**3),
    "JAX": lambda x: jnp.sum(x**2) if x[0] > 0 else jnp.sum(x**3),
    "JAX, as a float": lambda x: float(jnp.sum(x**2 if x[0] > 0 else x**3)),
}


@pytest.mark.parametrize("name", BRANCHES)
@pytest.mark.parametrize("factor", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_what_a_function_does_may_hang_on_the_numbers(name: str, factor: int) -> None:
    """JAX cannot map such a function over many points, whatever library it is written for."""
    verdict = matcalc.check(BRANCHES[name], positive("n"), grad=lambda x: factor * (2 * x if x[0] > 0 else 3 * x**2), profile=FEW)
    assert verdict.status is (Status.VERIFIED if factor == 1 else Status.REFUTED), str(verdict)


@pytest.mark.slow
def test_a_function_of_many_sizes_has_a_counterexample_too() -> None:
    """There are half a million choices of sizes up to 3, and only so many are tried as can be."""
    names = [f"n{k}" for k in range(12)]
    verdict = matcalc.check(
        lambda *xs: sum(np.sum(x**2) for x in xs), *(real(name) for name in names), grad=lambda *xs: tuple(-2 * x for x in xs), profile=FEW
    )
    assert verdict.status is Status.REFUTED
    assert verdict.counterexample is not None
    assert list(verdict.counterexample.sizes) == names


def test_arrays_of_many_axes_stay_small() -> None:
    """Seven along each of six axes would be a hundred thousand entries a case."""
    verdict = matcalc.check(lambda x: np.sum(x**2), real("a b c d e f"), grad=lambda x: 2 * x, profile=FEW)
    assert verdict.status.good


# --- what only other sizes and the numbers of the code show ---------------------------------------------------------------------------


def det_gradient(X: Any) -> Any:
    return np.linalg.det(X) * np.linalg.inv(X).T


def clipped(r: Any) -> Any:
    return np.clip(r, -1.5, 1.5)


def huber(w: Any, X: Any, y: Any) -> Any:
    r = y - X @ w
    a = np.abs(r)
    return np.sum(np.where(a <= 1.5, 0.5 * r * r, 1.5 * a - 0.5 * 1.5**2))


def turned(v: Any) -> Any:
    angle = np.linalg.norm(v)
    return np.sin(angle) / angle * v


def turned_along(v: Any, dv: Any, below: float = 0.0) -> Any:
    angle = np.linalg.norm(v)
    if angle < below:
        return dv * (1 - angle**2 / 6)
    s, c = np.sin(angle), np.cos(angle)
    return s / angle * dv + (c / angle - s / angle**2) * (v @ dv) / angle * v


REGRESSION = (real("p"), held(real("n p")), held(real("n")))
SELDOM: dict[str, tuple[Any, tuple[Any, ...], str, Any, Any]] = {
    "a narrow band": (lambda x: 0.5 * x @ x, (real("n"),), "grad", lambda x: x, lambda x: x * (1 + (0.5 < x[0] < 0.51))),
    "from six rows on": (np.linalg.det, (invertible("n"),), "grad", det_gradient, lambda X: det_gradient(X) * (1 + (len(X) >= 6))),
    "at four rows": (np.linalg.det, (invertible("n"),), "grad", det_gradient, lambda X: det_gradient(X) * (1 + (len(X) == 4))),
    "where a residual is a number of the code": (
        huber,
        REGRESSION,
        "grad",
        lambda w, X, y: -X.T @ clipped(y - X @ w),
        lambda w, X, y: -X.T @ (clipped(y - X @ w) * (np.abs(y - X @ w) != 1.5)),
    ),
    "where two inputs are a whole number apart": (
        lambda x, y: np.sum(np.log(np.cosh(x - y))),
        (real("n"), held(real("n"))),
        "grad",
        lambda x, y: np.tanh(x - y),
        lambda x, y: np.tanh(x - y) * (np.abs(x - y) != 1),
    ),
    "at small angles": (turned, (punctured("3"),), "jvp", turned_along, partial(turned_along, below=1e-2)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SELDOM)
def test_what_is_wrong_at_few_points_or_sizes_is_refuted(name: str) -> None:
    """No random point of a few small sizes shows any of these; the numbers in the code lead to them."""
    f, domains, word, right, wrong = SELDOM[name]
    assert matcalc.check(f, *domains, **{word: right}).status.good
    assert matcalc.check(f, *domains, **{word: wrong}).status is Status.REFUTED


@pytest.mark.parametrize(("factor", "good"), [(1.0, True), (1.5, False)])
def test_smaller_steps_have_a_say_where_a_function_saturates(factor: float, *, good: bool) -> None:
    """Its slope is one from a millionth on, to both sides of zero, and at all steps that are taken at first."""

    def f(x: Any) -> Any:
        return np.sum(x + np.tanh(1e7 * x) - np.tanh(1e9 * x))

    def bell(u: Any) -> Any:
        return np.cosh(np.minimum(np.abs(u), 300)) ** -2.0

    verdict = matcalc.check(f, real("n"), grad=lambda x: 1 + 1e7 * bell(1e7 * x) - factor * 1e9 * bell(1e9 * x))
    assert verdict.status is (Status.VERIFIED if good else Status.REFUTED)


def test_a_jvp_alone_is_asked_about_again_too() -> None:
    assert matcalc.check(lambda X: X @ X @ X, real("n n"), jvp=lambda X, dX: 3 * X * X * dX).status is Status.REFUTED


def test_a_kink_is_not_hidden_by_those_of_the_other_sign() -> None:
    """With all else zero, three rectifiers bend one way and one bends little the other; random pairs of tangents did not show it."""

    def _relu_network(W: Any, b: Any, v: Any, x: Any) -> Any:
        return v @ np.maximum(W @ x + b, 0)

    def gradient(W: Any, b: Any, v: Any, x: Any) -> Any:
        z = W @ x + b
        d = v * (z > 0)
        return np.outer(d, x), d, np.maximum(z, 0)

    assert matcalc.check(_relu_network, real("n p"), real("n"), real("n"), held(real("p")), grad=gradient, seed=0).status.good


def test_at_a_kink_with_endlessly_many_slopes_a_subgradient_is_told_from_others() -> None:
    """The norm of a row bends one way only, wherever one looks: what is claimed where it is zero must lie in the ball."""

    def norms_of_rows(X: Any) -> Any:
        return np.sum(np.sqrt(np.sum(X * X, axis=1)))

    def gradient(X: Any, length: float) -> Any:
        r = np.sqrt(np.sum(X * X, axis=1))[:, None]
        return np.where(r > 0, X / np.where(r > 0, r, 1.0), length * np.ones_like(X) / np.sqrt(X.shape[1]))

    assert matcalc.check(norms_of_rows, real("3 4"), grad=lambda X: gradient(X, 0.95), seed=0).status.good
    assert matcalc.check(norms_of_rows, real("3 4"), grad=lambda X: gradient(X, 1.3), seed=0).status is Status.REFUTED


def test_zeros_of_a_triangular_input_may_be_read() -> None:
    """What only the derivative reads stands there in no array that the function takes: LAPACK leaves numbers in that half."""

    def vjp(L: Any, b: Any, u: Any) -> Any:
        w = np.linalg.solve(L.T, u)
        return -np.tril(np.outer(w, np.linalg.solve(L, b))), w

    def by_lower_half(L: Any, b: Any) -> Any:
        return np.linalg.solve(np.tril(L), b)

    domains = lower_triangular("n"), real("n")
    assert matcalc.check(solve, *domains, vjp=vjp).status.good
    verdict = matcalc.check(by_lower_half, *domains, vjp=vjp)
    assert verdict.reason.startswith("what is claimed of by_lower_half reads entries of L"), str(verdict)
    assert matcalc.check(by_lower_half, *domains, vjp=lambda L, b, u: vjp(np.tril(L), b, u)).status.good


def kalman(a: Any, q: Any, r: Any, y: Any) -> Any:
    m, P, total = 0.0, 1.0, 0.0
    for observed in y:
        m, P = a * m, a * a * P + q
        S, v = P + r, observed - m
        total = total + 0.5 * (np.log(S) + v * v / S)
        K = P / S
        m, P = m + K * v, (1 - K) * P
    return total


def kalman_gradient(a: Any, q: Any, r: Any, y: Any, half: float = 0.5) -> Any:
    m, P, dm, dP, total = 0.0, 1.0, np.zeros(3), np.zeros(3), np.zeros(3)
    of_a, of_q, of_r = np.eye(3)
    for observed in y:
        dm, dP = a * dm + of_a * m, a * a * dP + 2 * a * P * of_a + of_q
        m, P = a * m, a * a * P + q
        S, v, dS = P + r, observed - m, dP + of_r
        total = total + half * (dS / S - v * v / S**2 * dS) - v * dm / S
        K, dK = P / S, dP / S - P * dS / S**2
        m, dm, P, dP = m + K * v, dm + dK * v - K * dm, (1 - K) * P, (1 - K) * dP - dK * P
    return tuple(total)


@pytest.mark.parametrize("seed", [3, pytest.param(4, marks=pytest.mark.slow)])
def test_digits_that_jax_loses_too_are_no_mistake(seed: int) -> None:
    domains = (real(), positive(), positive(), held(real("n")))
    assert matcalc.check(kalman, *domains, grad=kalman_gradient, seed=seed).status.good
    assert matcalc.check(kalman, *domains, grad=partial(kalman_gradient, half=1.0), seed=seed).status is Status.REFUTED


def test_the_numbers_of_the_code_are_found_wherever_they_stand() -> None:
    """In a function, in one that it calls, in a tuple, in what it closes over, in a bound argument; signs and common ones left out."""
    edge = 0.375

    def helper(x: Any) -> Any:
        return x + -0.25 if x in (4, 5.5) else x * 2 + 1

    def f(x: Any, much: float) -> Any:
        return helper(x) * edge + much * 1e-12 + 1e6

    assert set(_Parts.of(partial(f, much=7)).constants) == {0.25, 4.0, 5.5, 0.375, 7.0}


def test_one_counts_where_the_code_branches() -> None:
    def branching(x: Any) -> Any:
        return np.where(x < 1, 0.25 * x, 2 * x)

    assert _Parts.of(branching).constants == (0.25, 1.0, 2.0)


@pytest.mark.slow
def test_a_boundary_between_two_inputs_is_tried() -> None:
    """|x - y| = 1 exactly: what the branch is taken for lies at a number of the code where the other input is zero."""

    def smooth_l1(x: Any, y: Any) -> Any:
        d = x - y
        return jnp.sum(jnp.where(jnp.abs(d) < 1, d * d / 2, jnp.abs(d) - 0.5))

    def wrong(x: Any, y: Any) -> Any:
        d = x - y
        slope = jnp.where(jnp.abs(d) == 1, 0.0, jnp.clip(d, -1, 1))
        return slope, -slope

    found = matcalc.check(smooth_l1, real("n"), real("n"), grad=wrong, seed=1)
    assert found.status is Status.REFUTED
    assert matcalc.check(
        smooth_l1, real("n"), real("n"), grad=lambda x, y: (jnp.clip(x - y, -1, 1), -jnp.clip(x - y, -1, 1)), seed=1
    ).status.good


def test_a_claim_that_raises_is_told_from_a_function_that_raises() -> None:
    def gradient(K: Any) -> Any:
        raise ValueError(f"no inverse of {type(K).__name__} today")

    def log_det(K: Any) -> Any:
        return np.linalg.slogdet(K)[1]

    found = matcalc.check(log_det, invertible("n"), grad=gradient, seed=1)
    assert found.status is Status.REFUTED
    assert "the derivative claimed for log_det raises ValueError" in str(found)


@pytest.mark.slow
def test_a_kink_that_only_the_second_look_sees_breaks_nothing() -> None:
    """Beside the cases one may look like a kink, and then differences are taken at all of them: more rows than at the cases."""

    def root(A: Any) -> Any:
        w, V = np.linalg.eigh(A)
        return (V * np.sqrt(w)) @ V.T

    def bures(A: Any, B: Any) -> Any:
        R = root(A)
        return np.trace(A) + np.trace(B) - 2 * np.sum(np.sqrt(np.linalg.eigvalsh(R @ B @ R)))

    def transport(A: Any, B: Any) -> Any:
        R = root(A)
        return np.eye(len(A)) - np.linalg.solve(R, root(R @ B @ R)) @ np.linalg.inv(R)

    domains = (positive_definite("n"), positive_definite("n"))
    found = matcalc.check(bures, *domains, grad=lambda A, B: (transport(A, B), transport(B, A) * (1 + 1e-6)), seed=0)
    assert found.status is Status.REFUTED


def _spherical(x: Any) -> Any:
    r, t, p = x
    return np.array([r * np.sin(t) * np.cos(p), r * np.sin(t) * np.sin(p), r * np.cos(t)])


def _spherical_jacobian(x: Any) -> Any:
    r, (t, p) = x[0], x[1:]
    along = [np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)]
    south = [r * np.cos(t) * np.cos(p), r * np.cos(t) * np.sin(p), -r * np.sin(t)]
    east = [-r * np.sin(t) * np.sin(p), r * np.sin(t) * np.cos(p), 0 * t]
    return np.array([along, south, east]).T


@pytest.mark.slow
@pytest.mark.parametrize(
    ("f", "domains", "kind", "right", "wrong"),
    [
        pytest.param(
            _spherical, (real("3"),), "jacobian", _spherical_jacobian,
            lambda x: _spherical_jacobian(x) * (1 - 0.5 * (x[1] == 0)), id="one entry of three is zero",
        ),
        pytest.param(
            lambda x, r: jnp.sum(x * x * r), (positive("n"), positive()), "grad", lambda x, r: (2 * x * r, jnp.sum(x * x)),
            lambda x, r: (jnp.where(x == r, 0.0, 2 * x * r), jnp.sum(x * x)), id="entries equal to another input",
        ),
        pytest.param(
            lambda x: jnp.sum(x**3), (real("n"),), "grad", lambda x: 3 * x**2,
            lambda x: 3 * x**2 * (0.5 if len(x) > 64 else 1.0), id="wrong from a size in the code on",
        ),
        pytest.param(
            lambda x: jnp.sum(jnp.log(x)), (positive("n"),), "grad", lambda x: 1 / x,
            lambda x: jnp.where(x > 5000, 0.9, 1.0) / x, id="beyond the largest number of the code",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_in_few_places_is_looked_for_there(
    f: Callable[..., Any], domains: tuple[Any, ...], kind: Any, right: Callable[..., Any], wrong: Callable[..., Any]
) -> None:
    assert matcalc.check(f, *domains, **{kind: right}, seed=1).status.good
    assert matcalc.check(f, *domains, **{kind: wrong}, seed=1).status is Status.REFUTED


@pytest.mark.parametrize("wrong", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_value_that_only_the_compiler_finds_is_none(*, wrong: bool) -> None:
    """XLA cancels x / x, so at 1e6 it has a value where the function, called as it stands, has none; the gradient need not have one."""

    def sinkhorn(C: Any) -> Any:
        K = jnp.exp(-C)
        P = K / K.sum(1, keepdims=True)
        return jnp.sum(P / P.sum(0, keepdims=True) * C)

    def gradient(C: Any) -> Any:
        K = np.exp(-np.asarray(C))
        rows = K.sum(1, keepdims=True)
        columns = (K / rows).sum(0, keepdims=True)
        P = K / rows / columns
        B = (C - (C * P).sum(0, keepdims=True)) / columns
        return P - K * (B - (B * K / rows).sum(1, keepdims=True)) / rows * (0.0 if wrong else 1.0)

    verdict = matcalc.check(sinkhorn, real("m n"), grad=gradient, profile=FEW)
    assert verdict.status is (Status.REFUTED if wrong else Status.VERIFIED), str(verdict)


@pytest.mark.slow
def test_digits_that_every_neighbour_loses_are_no_mistake() -> None:
    """One less a saturated logistic: the gradient keeps eleven digits, and no point beside it keeps others (ordinal regression)."""

    def logistic(t: Any) -> Any:
        return 1 / (1 + np.exp(-t))

    def ordinal(x: Any, c: Any) -> Any:
        low, high = c[0] - x, c[0] + np.exp(c[1]) - x
        return -np.sum(np.log(logistic(low))) - np.sum(np.log(logistic(high) - logistic(low)))

    def gradient(x: Any, c: Any, more: float = 0.0) -> Any:
        low, width = c[0] - x, np.exp(c[1])
        (s, of_low), (t, of_high) = ((y, y * (1 - y)) for y in (logistic(low), logistic(low + width)))
        by_low, by_high = of_low / (t - s) - (1 - s), -of_high / (t - s)
        return -(by_low + by_high), (1 + more) * np.array([np.sum(by_low + by_high), np.sum(by_high) * width])

    assert matcalc.check(ordinal, real("n"), real("2"), grad=gradient, seed=2).status.good
    assert matcalc.check(ordinal, real("n"), real("2"), grad=partial(gradient, more=3e-9), seed=2).status is Status.REFUTED


@pytest.mark.slow
def test_a_scale_that_nobody_asked_for_does_not_keep_rounding_elsewhere_from_a_second_look() -> None:
    """A Gaussian process at scale 1e3: at 1e9 its inverse is noise; at a zero of y digits are lost that a hair away are lost otherwise."""

    def log_likelihood(t: Any, y: Any, s: Any) -> Any:
        L = jnp.linalg.cholesky(s**2 * jnp.exp(-((t[:, None] - t) ** 2) / 2e6) + 0.1 * jnp.eye(len(t)))
        return -jnp.sum(jax.scipy.linalg.solve_triangular(L, y, lower=True) ** 2) / 2 - jnp.sum(jnp.log(jnp.diagonal(L)))

    def gradient(t: Any, y: Any, s: Any, factor: float = 1.0) -> Any:
        K = s**2 * jnp.exp(-((t[:, None] - t) ** 2) / 2e6)
        inverse = jnp.linalg.inv(K + 0.1 * jnp.eye(len(t)))
        a = inverse @ y
        return -a, factor * jnp.sum((jnp.outer(a, a) - inverse) * K) / s

    domains = [scaled(1e3, domain) for domain in (distinct("n"), real("n"), positive())]
    domains[0] = held(domains[0])
    for seed in range(4):
        assert matcalc.check(log_likelihood, *domains, grad=gradient, seed=seed).status is not Status.REFUTED
    assert matcalc.check(log_likelihood, *domains, grad=partial(gradient, factor=1.001), seed=0).status is Status.REFUTED


def test_a_hessian_of_code_that_takes_no_complex_numbers() -> None:
    def logistic(w: Any) -> Any:
        return np.sum(np.logaddexp(0.0, -w))

    def hessian(w: Any) -> Any:
        s = 1 / (1 + np.exp(-w))
        return np.diag(s * (1 - s))

    assert matcalc.check(logistic, real("n"), hessian=hessian, profile=FEW).status.good
    assert matcalc.check(logistic, real("n"), hessian=lambda w: 1.001 * hessian(w), profile=FEW).status is Status.REFUTED


def test_a_hessian_of_code_that_nothing_differentiates() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.abs(x) ** 3) * (1.0 if float(x[0]) > 0 else 1)

    with pytest.raises(TypeError, match=r"check\(f\): hessian= needs the gradient of f, which takes neither .*; give grad= too"):
        matcalc.check(f, real("n"), hessian=lambda x: np.diag(6 * np.abs(x)))
    verdict = matcalc.check(f, real("n"), grad=lambda x: 3 * x * np.abs(x), hessian=lambda x: np.diag(6 * np.abs(x)), profile=FEW)
    assert verdict.status.good


@pytest.mark.parametrize("above", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_median_beside_a_near_tie(*, above: bool) -> None:
    def median(x: Any) -> Any:
        return jnp.sort(x)[2]

    def shared(x: Any) -> Any:
        s = np.sort(x)
        near = s[3] - s[2] < 1e-5 if above else s[2] - s[1] < 1e-5
        return (x == s[2]) * (0.5 if near else 1.0)

    verdict = matcalc.check(median, distinct("5"), grad=shared)
    assert verdict.status is Status.REFUTED
    assert "pairs 1e-06 apart" in str(verdict)
