"""`matcalc.check` judges derivatives as people write them."""

from __future__ import annotations

import re
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
from matcalc.domain import held, invertible, one_hot, positive, positive_definite, punctured, real, simplex
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
def test_a_right_derivative_is_good(name: str) -> None:
    f, inputs, claims = RIGHT[name]
    for seed in (0, 1):
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


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_derivative_is_refuted(name: str) -> None:
    f, inputs, claims = WRONG[name]
    verdict = matcalc.check(f, *inputs, seed=3, **claims)
    assert verdict.status is Status.REFUTED, str(verdict)
    assert verdict.reason
    assert str(verdict).splitlines()[0].endswith(".")
    assert "<b" in verdict._repr_html_()


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
        if y.size == 4:
            raise ValueError("not four")
        return np.sum(x**2) + np.sum(y**2)

    verdict = matcalc.check(f, real("n"), real("p"), grad=lambda x, y: (2 * x, 2 * y))
    assert any("not four" in line.note for line in verdict.census)


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
@pytest.mark.parametrize("factor", [1, 2])
def test_what_a_function_does_may_hang_on_the_numbers(name: str, factor: int) -> None:
    """JAX cannot map such a function over many points, whatever library it is written for."""
    verdict = matcalc.check(BRANCHES[name], positive("n"), grad=lambda x: factor * (2 * x if x[0] > 0 else 3 * x**2), profile=FEW)
    assert verdict.status is (Status.VERIFIED if factor == 1 else Status.REFUTED), str(verdict)


def test_a_function_of_many_sizes_has_a_counterexample_too() -> None:
    """There are half a million choices of sizes up to 3, and only so many are tried as can be."""
    names = [f"n{k}" for k in range(12)]
    verdict = matcalc.check(
        lambda *xs: sum(np.sum(x**2) for x in xs), *(real(name) for name in names), grad=lambda *xs: tuple(-2 * x for x in xs), profile=FEW
    )
    assert verdict.status is Status.REFUTED
    assert verdict.counterexample is not None
    assert list(verdict.counterexample.sizes) == names


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


@pytest.mark.parametrize("name", SELDOM)
def test_what_is_wrong_at_few_points_or_sizes_is_refuted(name: str) -> None:
    """No random point of a few small sizes shows any of these; the numbers in the code lead to them."""
    f, domains, word, right, wrong = SELDOM[name]
    assert matcalc.check(f, *domains, **{word: right}).status.good
    assert matcalc.check(f, *domains, **{word: wrong}).status is Status.REFUTED


def test_the_numbers_of_the_code_are_found_wherever_they_stand() -> None:
    """In a function, in one that it calls, in a tuple, in what it closes over, in a bound argument; signs and common ones left out."""
    edge = 0.375

    def helper(x: Any) -> Any:
        return x + -0.25 if x in (4, 5.5) else x * 2 + 1

    def f(x: Any, much: float) -> Any:
        return helper(x) * edge + much * 1e-12 + 1e6

    assert set(_Parts.of(partial(f, much=7)).constants) == {0.25, 4.0, 5.5, 0.375, 7.0}
