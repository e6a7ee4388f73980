"""The museum of wrong gradients: real faults of real projects, each refuted by the property that it breaks.

The second half turns to faults that still live in the installed JAX and PyTorch: their own derivative is judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matcalc.cases import Profile
from matcalc.catalogue import AnyRule, Catalogue, installed, load
from matcalc.oracle import autodiff, frameworks
from matcalc.property import FaultError
from matcalc.rule import Subject
from matcalc.second import batches, order
from matcalc.special import survey
from matcalc.subjects import by_jax, by_torch
from matcalc.verdict import Evidence, Status
from matcalc.verify import judge, observe, quietly, verify

EXAMPLES = Path(__file__).parent.parent / "examples"
FEW = Profile(cases=12, probes=2, perturbations=2)

EXHIBITS = {  # rule -> the property that it breaks
    "det_of_one_entry": "special",
    "det_zero_where_singular": "special",
    "det_nan_where_singular": "special",
    "det_crash_where_singular": "special",
    "diagonal_of_log": "vjp",
    "derivative_of_det": "jvp",
    "gradient_of_det": "special",
    "hypotenuse": "jvp",
    "angle": "jvp",
    "product_never_pulled_back": "vjp",
    "cholesky_halved": "adjoint",
    "cholesky_without_gradient": "vjp",
    "cholesky_counted_twice": "vjp",
    "cholesky_overwriting": "vjp",
    "qr_with_a_resting_q": "jvp",
    "qr_with_two_minds": "adjoint",
    "eigenvectors_guarded_too_early": "extremes",
    "sum_of_squared_singular_values": "special",
    "nuclear_norm_of_unscaled_squares": "extremes",
    "derivative_of_layer_norm": "jvp",
    "gaussian_of_flipped_sign": "vjp",
    "exponential_by_eigenvectors": "special",
    "square_root_step": "vjp",
    "square_root_of_nothing": "empty",
    "infinity_norm": "kink",
    "larger_of_two": "kink",
    "larger_of_two_by_turns": "special",
    "norm_anywhere": "kink",
    "distance_anywhere": "kink",
    "renorm_with_branches_swapped": "vjp",
    "renorm_to_nothing": "special",
    "product_by_division": "special",
    "cumulative_product_by_division": "special",
    "cumulative_product_zeroed": "special",
    "derivative_of_product": "special",
    "derivative_of_cumulative_product": "special",
    "inverse_without_transposes": "vjp",
    "cholesky_inverse": "jvp",
    "solve_that_guesses": "shape",
    "least_squares_of_a_vector": "jvp",
    "least_squares_as_if_square": "vjp",
    "derivative_of_right_solve": "jvp",
    "diagonal_of_inverse": "vjp",
    "softplus_flat_at_zero": "special",
    "bessel_i0_flat_at_zero": "second",
    "log_beta_by_order": "second",
    "weighted_logsumexp": "special",
    "cumulative_logsumexp": "jvp",
    "triangular_solve_unmasked": "structure",
    "unit_triangular_solve": "jvp",
    "transposed_triangular_solve": "vjp",
    "symmetric_of_lower": "structure",
    "square_sum_of_upper_eigenvalues": "structure",
    "logdet_of_one_triangle": "vjp",
}
ORDINARY = {"value", "jvp", "vjp", "adjoint", "linear", "structure", "shape", "pure", "dtype", "empty"}
"Properties that any random point can break; the others take points, or questions, of their own."
SURVIVORS = {
    "log_beta_by_order": "the conditioning of a second derivative is measured on JAX's own, which jumps beside a = b (matcalc.second)",
}


@pytest.fixture(scope="module")
def museum() -> Catalogue:
    return load([EXAMPLES / "museum"])


def found(subject: Subject, word: str) -> list[Evidence]:
    """What is found out about a subject by whatever looks at the property."""
    with quietly():
        if word == "second":
            return order(subject, batches(subject, seed=1))
        if word not in ORDINARY:
            return survey(subject, seed=1)[0]
        try:
            observations = observe(subject, seed=1, profile=FEW, traced=False)
            return list(judge(subject, observations, elsewhere=False).evidence)
        except FaultError as fault:
            return [Evidence(fault.property, "itself", Status.REFUTED, 1, note=fault.sentence)]


def refuted(evidence: list[Evidence]) -> dict[str, str]:
    """The properties that do not hold, each with a sentence."""
    return {e.property: e.note for e in evidence if e.status is Status.REFUTED}


def marked(name: str) -> Any:
    """The exhibit as a parameter; one that is known to survive is expected to."""
    marks = pytest.mark.xfail(reason=SURVIVORS[name], raises=AssertionError) if name in SURVIVORS else ()
    return pytest.param(name, EXHIBITS[name], marks=marks)


def test_every_exhibit_is_in_the_table(museum: Catalogue) -> None:
    """There are at least forty, all of them readable, and the table names exactly those."""
    assert museum.problems == ()
    assert {rule.name for rule in museum.rules} == set(EXHIBITS)
    assert len(EXHIBITS) - len(SURVIVORS) >= 40


@pytest.mark.parametrize(("name", "word"), [marked(name) for name in EXHIBITS])
def test_an_exhibit_is_refuted_by_the_property_that_it_breaks(museum: Catalogue, name: str, word: str) -> None:
    """Each fault is found, and told by its name."""
    sentences = refuted(found(museum[name], word))
    assert name in sentences.get(word, f"{word} holds")


@pytest.mark.parametrize("name", [name for name, word in EXHIBITS.items() if word not in ORDINARY])
def test_a_fault_of_special_points_is_not_seen_at_others(museum: Catalogue, name: str) -> None:
    """Where the fault was at special points only, random ones see nothing: the exhibit is not made easier than it was."""
    assert refuted(found(museum[name], "vjp")) == {}


def test_every_exhibit_says_where_it_was_reported_and_what_was_wrong(museum: Catalogue) -> None:
    """The docstring names the project and the number that its source has, and says something of it."""
    for rule in museum.rules:
        (source,) = rule.sources
        told = re.search(rf"{re.escape(source.place)}: \w", rule.function.__doc__ or "")
        assert told, rule.name
        assert source.url.endswith(f"/issues/{source.place.removeprefix('#')}")


def test_the_right_rules_that_the_museum_names_are_in_the_catalogue() -> None:
    """Names in backticks in the files' first docstrings are rules of the catalogue."""
    known = {rule.name for rule in installed().rules}
    for file in (EXAMPLES / "museum").glob("*.py"):
        head = file.read_text().split('"""')[1]
        assert file.stem == "issues" or set(re.findall(r"`(\w+)`", head)) <= known, file.name


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, word in EXHIBITS.items() if word in ORDINARY])
def test_the_verdict_on_an_exhibit_is_refuted(museum: Catalogue, name: str) -> None:
    """What the command line says of it, too."""
    verdict = verify(museum[name], seed=1, profile="quick")
    assert verdict.status is Status.REFUTED
    assert EXHIBITS[name] in refuted(list(verdict.evidence))


# --- figures from the reports ------------------------------------------------------------------------------------------------------


def test_exhibits_repeat_the_wrong_numbers_of_the_reports(museum: Catalogue) -> None:
    """Where a report gives an input and the wrong result, the exhibit gives that result."""
    L, dL = np.array([[1.7, 0.0], [1.0, 2.0]]), np.array([[1.0, 0.0], [0.0, 0.0]])
    assert museum["cholesky_inverse"].jvp(L, dL).sum() == pytest.approx(-0.4988266424013123, rel=1e-12)  # pytorch #196682
    x, v = np.array([0.7, 0.0]), np.array([1.0, 0.0])
    second = museum["derivative_of_layer_norm"].jvp(x, v, v) @ np.array([1.0, 2.0])
    assert second == pytest.approx(-0.38487405661968344, rel=1e-12)  # pytorch #196700
    assert not museum["det_zero_where_singular"].grad(np.array([[0.0, 1.0], [0.0, 1.0]])).any()  # pytorch #104675
    with np.errstate(invalid="ignore"):
        gradient = museum["cumulative_product_by_division"].vjp(np.array([2.0, 0.0, 3.0, 4.0]), np.ones(4))
    assert np.isnan(gradient[1])  # burn #3864, where 32 is right
    assert museum["infinity_norm"].grad(np.ones(3)).sum() == 3  # pytorch #41779


# --- faults that still live --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Live:
    """A fault of a released framework: the rule whose function goes through it, and a small case that shows whether it is there."""

    rule: str
    library: str  # "jax" or "torch"
    word: str  # the property that it breaks
    there: Callable[[], bool]


def _on_jax(question: Callable[[Any, Any], Any]) -> Callable[[], bool]:
    def there() -> bool:
        import jax

        with autodiff.double_precision():
            return bool(question(jax, jax.numpy))

    return there


def _on_torch(question: Callable[[Any], Any]) -> Callable[[], bool]:
    def there() -> bool:
        import torch

        return bool(question(torch))

    return there


def _leaks(jax: Any, jnp: Any) -> Any:
    gradient = jax.grad(lambda x: jnp.sum(jax.scipy.linalg.cholesky(x, lower=False)))(jnp.array([[4.0, 1.0], [1.0, 3.0]]))
    return gradient[1, 0] != 0


def _drops_a_weight(jax: Any, jnp: Any) -> Any:
    gradient = jax.grad(lambda b: jax.scipy.special.logsumexp(jnp.zeros(2), b=b))(jnp.array([1.0, 0.0]))
    return gradient[1] == 0


def _loses_the_last_term(torch: Any) -> bool:
    def f(t: Any) -> Any:
        return torch.linalg.det(torch.stack((t + 2, t * 0 + 1, t * 0 + 1, 2 * t + 3)).reshape(2, 2))  # second derivative 4

    t = torch.tensor(0.7, dtype=torch.float64)
    one = torch.ones_like(t)
    return abs(torch.func.jvp(lambda s: torch.func.jvp(f, (s,), (one,))[1], (t,), (one,))[1] - 4) > 1e-6


def _wrong_order(torch: Any) -> bool:
    L = torch.tensor([[1.7, 0.0], [1.0, 2.0]], dtype=torch.float64)
    dL = torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    return abs(torch.func.jvp(torch.cholesky_inverse, (L,), (dL,))[1].sum() + 0.3358436800325667) > 1e-6


def _zero_at_rank_one(torch: Any) -> bool:
    X = torch.tensor([[0.0, 1.0], [0.0, 1.0]], dtype=torch.float64, requires_grad=True)
    return not torch.autograd.grad(torch.linalg.det(X), X)[0].any()


LIVE = [
    Live("cholesky_of_upper_half", "jax", "structure", _on_jax(_leaks)),
    Live("weighted_logsumexp", "jax", "special", _on_jax(_drops_a_weight)),
    Live("bessel_i0", "jax", "second", _on_jax(lambda jax, jnp: jax.grad(jax.grad(jnp.i0))(0.0) != 0.5)),
    Live(
        "gradient_of_squared_eigenvalues",
        "jax",
        "special",
        _on_jax(lambda jax, jnp: jnp.isnan(jax.hessian(lambda S: jnp.sum(jnp.linalg.eigh(S)[0] ** 2))(jnp.eye(2))).any()),
    ),
    Live("det_of_any_matrix", "torch", "special", _on_torch(_zero_at_rank_one)),
    Live("inverse_from_cholesky", "torch", "jvp", _on_torch(_wrong_order)),
    Live("derivative_of_det", "torch", "jvp", _on_torch(_loses_the_last_term)),
]
BY: dict[str, Callable[[AnyRule], Subject]] = {"jax": by_jax, "torch": by_torch}


@pytest.fixture(scope="module")
def faulty() -> Catalogue:
    return load([EXAMPLES / "frameworks"])


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # PyTorch's own, when its jvp is loaded
@pytest.mark.parametrize("live", LIVE, ids=lambda live: f"{live.library}: {live.rule}")
def test_a_fault_that_still_lives_in_a_framework_is_found(faulty: Catalogue, live: Live) -> None:
    """The framework's own derivative, in the place of the hand-written one, is refuted by the property that it breaks."""
    if live.library == "torch" and not frameworks.has_torch():
        pytest.skip("PyTorch is not installed")
    if not live.there():
        pytest.skip(f"{live.library} {version(live.library)} no longer has the fault behind {live.rule}")
    assert live.rule in refuted(found(BY[live.library](faulty[live.rule]), live.word)).get(live.word, f"{live.word} holds")


@pytest.mark.parametrize("live", LIVE, ids=lambda live: live.rule)
def test_the_hand_written_derivative_of_the_same_function_is_right(faulty: Catalogue, live: Live) -> None:
    """By the function's own values; of the framework's derivative, which is wrong there, nobody asks."""
    for word in ("vjp", "special"):
        assert refuted(found(faulty[live.rule], word)) == {}


@pytest.mark.parametrize(
    "name", ["layer_norm", *(pytest.param(name, marks=pytest.mark.slow) for name in ("det", "svd", "softmax_cross_entropy"))]
)
@pytest.mark.parametrize("library", ["jax", "torch"])
def test_a_right_derivative_of_a_framework_is_not_refuted(name: str, library: str) -> None:
    """Rules with one input or several, held ones, several arrays as the value."""
    if library == "torch" and not frameworks.has_torch():
        pytest.skip("PyTorch is not installed")
    evidence = found(BY[library](installed()[name]), "vjp")
    assert refuted(evidence) == {}
    assert all(any(e.status is Status.VERIFIED for e in evidence if e.property == word) for word in ("jvp", "vjp", "adjoint"))
