"""A rule is called like its function, on any array library, and refuses what it cannot use in one sentence."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matcalc_rules.determinants import logdet
from matcalc_rules.layers import softmax
from matcalc_rules.products import matmul

from matcalc.array import Array, kind
from matcalc.domain import held, positive, real
from matcalc.rule import Linearization, name_as_tex, rule
from matcalc.source import COOKBOOK, GILES

K = np.array([[2.0, 0.5], [0.5, 1.0]])
X, W = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)


def torch_array(x: Any) -> Any:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    return torch.tensor(x)


LIBRARIES = {"NumPy": np.asarray, "JAX": jnp.asarray, "PyTorch": torch_array}
each_library = pytest.mark.parametrize("make", LIBRARIES.values(), ids=LIBRARIES)


@each_library
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_method_returns_the_kind_and_dtype_that_came(make: Any, dtype: Any) -> None:
    """Arrays of one library and precision in, the same out."""
    with jax.enable_x64(True):
        k = make(K.astype(dtype))
        for answer in (logdet(k), logdet.jvp(k, k), logdet.vjp(k, logdet(k)), logdet.grad(k), logdet.jacobian(k)):
            assert kind(answer) == kind(k)
            assert answer.dtype == k.dtype
            assert type(answer) is type(k)


@each_library
def test_the_numbers_are_right(make: Any) -> None:
    """Log det of a 2 x 2 matrix, its gradient and its differential, by hand."""
    with jax.enable_x64(True):
        k = make(K)
        inverse = np.array([[1.0, -0.5], [-0.5, 2.0]]) / 1.75
        assert np.asarray(logdet(k)) == pytest.approx(np.log(1.75))
        assert np.asarray(logdet.grad(k)) == pytest.approx(inverse)
        assert np.asarray(logdet.jvp(k, k)) == pytest.approx(2.0)
        assert np.asarray(logdet.vjp(k, logdet(k) * 0 + 3)) == pytest.approx(3 * inverse)


def test_jit_and_vmap() -> None:
    """A rule works where its inputs are traced."""
    many = jnp.stack([jnp.asarray(K), 2 * jnp.asarray(K)])
    grads = jax.jit(jax.vmap(logdet.grad))(many)
    assert np.asarray(grads[0]) == pytest.approx(2 * np.asarray(grads[1]), rel=1e-5)
    assert jax.jit(logdet.jvp)(many[0], many[1]) == pytest.approx(4.0, rel=1e-5)


def test_several_inputs_give_tuples() -> None:
    """Vjp and jacobian have one part for each input that is differentiated."""
    X_bar, W_bar = matmul.vjp(X, W, X @ W)
    assert (X_bar.shape, W_bar.shape) == (X.shape, W.shape)
    assert [j.shape for j in matmul.jacobian(X, W)] == [(2, 4, 2, 3), (2, 4, 3, 4)]
    assert matmul.jvp(X, W, X, W) == pytest.approx(2 * X @ W)


def test_named_inputs() -> None:
    """Inputs may be given by name."""
    assert matmul(W=W, X=X) == pytest.approx(X @ W)


def test_the_jacobian_in_closed_form_is_the_one_by_rows() -> None:
    """A rule's own formula for its Jacobian and the rows of its adjoint agree."""
    z = np.array([0.3, -1.0, 2.0])
    rows = np.stack([softmax.vjp(z, e) for e in np.eye(3)])
    assert softmax.jacobian(z) == pytest.approx(rows)


def test_value_and_grad_shares_its_work() -> None:
    """The pair is the value and the gradient."""
    value, gradient = logdet.value_and_grad(K)
    assert value == pytest.approx(logdet(K))
    assert gradient == pytest.approx(logdet.grad(K))


BAD_CALLS = [
    (lambda: logdet(np.zeros((2, 3))), ValueError, r"^logdet: K must have shape \(n, n\) where n = 2, but came with shape \(2, 3\)$"),
    (lambda: logdet(np.zeros(4)), ValueError, r"^logdet: K must have shape \(n, n\), but came with shape \(4,\)$"),
    (lambda: logdet([[1.0]]), TypeError, "^logdet: K must be an array of floating-point numbers .* but a list came$"),
    (lambda: logdet(np.eye(2, dtype=int)), TypeError, "^logdet: K must hold real floating-point numbers, but came with dtype int64$"),
    (lambda: logdet(np.eye(2, dtype=complex)), TypeError, "dtype complex128$"),
    (lambda: logdet(None), TypeError, "but a NoneType came$"),
    (lambda: matmul(X, X), ValueError, r"^matmul: W must have shape \(p, m\) where p = 3 as in X, but came with shape \(2, 3\)$"),
    (lambda: matmul(X), TypeError, r"^matmul takes 2 inputs \(X, W\), but 1 argument came$"),
    (
        lambda: matmul(X, jnp.asarray(W)),
        TypeError,
        "^matmul: W is a JAX array but another input is a NumPy array; give all of one library$",
    ),
    (lambda: matmul.jvp(X, W, X), TypeError, r"then 2 tangents \(dX, dW\), but 3 arguments came$"),
    (lambda: matmul.jvp(X, W, X, X), ValueError, r"^matmul: dW must have the shape of W, \(3, 4\), but came with shape \(2, 3\)$"),
    (lambda: matmul.grad(X, W), ValueError, "^matmul.grad needs a scalar value, .* use matmul.vjp with a cotangent, or matmul.jacobian$"),
    (lambda: logdet.vjp(K, K), ValueError, r"the cotangent must have the shape of the value, \(\), but came with shape \(2, 2\)$"),
    (lambda: logdet.vjp(K), TypeError, "then 1 cotangent, but 1 argument came$"),
]


@pytest.mark.parametrize(("call", "kind_", "sentence"), BAD_CALLS)
def test_bad_input_gets_one_sentence(call: Any, kind_: type[Exception], sentence: str) -> None:
    """The message names the argument, what came and what was expected, in one line."""
    with pytest.raises(kind_, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_plain_number_stands_for_a_scalar_among_arrays() -> None:
    """Hyper-parameters need no wrapping; they take the library and dtype of the arrays beside them."""

    @rule(GILES, x=real("n"), a=real())
    def scaled(x: Array, a: Array) -> Linearization[Array]:
        r"""A multiple of a vector.

        $$ y = a x $$
        """
        return Linearization(a * x, lambda dx, da: a * dx + da * x, lambda y_bar: (a * y_bar, (y_bar * x).sum()))

    x = np.ones(3, dtype=np.float32)
    assert scaled(x, 2.0).dtype == np.float32
    with pytest.raises(TypeError, match="a must be an array"):
        scaled(x, True)


def test_declarations_that_are_refused() -> None:
    """A rule without a source or a statement, or with a domain for no argument, is refused where it is written."""

    def stated(x: Array) -> Linearization[Array]:
        """Twice x: $$ y = 2x $$."""
        return Linearization(2 * x, lambda dx: 2 * dx, lambda y_bar: 2 * y_bar)

    def silent(x: Array) -> Linearization[Array]:
        return stated(x)

    with pytest.raises(TypeError, match=r"^stated has no source"):
        rule(x=real("n"))(stated)
    with pytest.raises(TypeError, match=r"^silent states nothing"):
        rule(GILES, x=real("n"))(silent)
    with pytest.raises(TypeError, match=r"^stated takes \(x\) but gives domains for \(X\); name the same inputs in the same order$"):
        rule(GILES, X=real("n"))(stated)
    with pytest.raises(TypeError, match=r"^stated holds all of its inputs"):
        rule(GILES, x=held(real("n")))(stated)
    with pytest.raises(TypeError, match="a source must be a Source"):
        rule(real("n"), x=real("n"))(stated)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the domain of x must be a Domain"):
        rule(GILES, x="n")(stated)  # type: ignore[arg-type]


def test_a_rule_says_what_it_is() -> None:
    """Name, topic, summary, statement and a notebook's Markdown come from the declaration."""
    assert (logdet.name, logdet.topic, logdet.differentiated) == ("logdet", "determinants", ("K",))
    assert logdet.equations[0] == r"\ell = \log\det K"
    markdown = logdet._repr_markdown_()
    assert markdown.startswith("**logdet**: Log-determinant")
    assert all(f"$$ {equation} $$" in markdown for equation in logdet.equations)
    assert COOKBOOK.at("(57)").short in markdown
    assert logdet.__doc__ == logdet.function.__doc__
    assert repr(matmul) == "<rule matmul(X, W)>"


def test_held_inputs_are_not_differentiated() -> None:
    """A held input gets no tangent and no gradient."""

    @rule(GILES, x=real("n"), w=held(positive("n")))
    def weighted(x: Array, w: Array) -> Linearization[Array]:
        """Weighted vector: $$ y = w x $$."""
        return Linearization(w * x, lambda dx: w * dx, lambda y_bar: w * y_bar)

    x, w = np.ones(2), np.array([1.0, 2.0])
    assert weighted.differentiated == ("x",)
    assert weighted.jvp(x, w, x) == pytest.approx(w)
    assert weighted.vjp(x, w, x) == pytest.approx(w)


@pytest.mark.parametrize(
    ("name", "tex"), [("K", "K"), ("W1", "W_{1}"), ("beta", r"\beta"), ("lam", r"\lambda"), ("w_0", "w_{0}"), ("Sigma", r"\Sigma")]
)
def test_names_are_written_as_in_the_statement(name: str, tex: str) -> None:
    """An argument's name becomes the letter that stands in the formula."""
    assert name_as_tex(name) == tex
