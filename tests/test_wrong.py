"""Wrong versions are made as they say, told from right ones without the checker, and refuted."""

from __future__ import annotations

import ast
from dataclasses import replace
from types import FunctionType
from typing import Any

import numpy as np
import pytest

from matcalc import wrong
from matcalc.array import Array, inner, sym, total
from matcalc.catalogue import AnyRule, installed
from matcalc.domain import lower_triangular, positive_definite, real
from matcalc.rule import Linearization, rule
from matcalc.source import COOKBOOK
from matcalc.wrong import Fate, Score, Truth, score, summary, under, wrong_versions

CATALOGUE = installed()


@rule(COOKBOOK, X=real("m n"), W=real("n p"), Z=real("n p"))
def product_difference(X: Array, W: Array, Z: Array) -> Linearization[Array]:
    """The product of a matrix with a difference of two.

    $$ Y = X (W - Z) $$
    """
    D = W - Z

    def jvp(dX: Array, dW: Array, dZ: Array) -> Array:
        return dX @ D + X @ (dW - dZ)

    def vjp(Y_bar: Array) -> tuple[Array, Array, Array]:
        W_bar = X.mT @ Y_bar
        return Y_bar @ D.mT, W_bar, -W_bar

    return Linearization(X @ D, jvp, vjp)


@rule(COOKBOOK, K=positive_definite("n"))
def squares(K: Array) -> Linearization[Array]:
    r"""Half the squared norm of a symmetric matrix.

    $$ f = \tfrac12 \|K\|_F^2 $$
    """

    def vjp(f_bar: Array) -> Array:
        return f_bar * sym(K)

    return Linearization(inner(K, K) / 2, lambda dK: inner(K, dK), vjp)


@rule(COOKBOOK, x=real("n"))
def doubled_in_two_ways(x: Array) -> Linearization[Array]:
    """Twice a vector, long ones by another formula.

    $$ y = 2 x $$
    """

    def jvp(dx: Array) -> Array:
        return _twice(dx)

    return Linearization(2 * x, jvp, jvp)


def _twice(x: Array) -> Array:
    if x.shape[0] > 1000:
        return x + x
    return 2 * x


@rule(COOKBOOK, x=real("n"))
def doubled_but_wrong(x: Array) -> Linearization[Array]:
    """Twice a vector.

    $$ y = 2 x $$
    """
    return Linearization(2 * x, lambda dx: 3 * dx, lambda y_bar: 2 * y_bar)


@rule(COOKBOOK, L=lower_triangular("n"))
def triangle_sum(L: Array) -> Linearization[Array]:
    r"""The sum of the entries of a triangle.

    $$ s = \sum_{ij} L_{ij} $$
    """

    def vjp(s_bar: Array) -> Array:
        return s_bar * np.tril(np.ones(L.shape, dtype=L.dtype))

    return Linearization(total(L), total, vjp)


def made_inside(factor: float) -> AnyRule:
    @rule(COOKBOOK, x=real("n"))
    def scaled_vector(x: Array) -> Linearization[Array]:
        """A vector times a number.

        $$ y = c x $$
        """

        def jvp(dx: Array) -> Array:
            return factor * dx

        return Linearization(factor * x, jvp, jvp)

    return scaled_vector


def answers(subject: AnyRule, *shapes: tuple[int, ...]) -> list[Any]:
    """All that a version says at one random point."""
    rng = np.random.default_rng(3)
    inputs = [rng.standard_normal(shape) for shape in shapes]
    at = subject.function(*inputs)
    pushed = at.jvp(*(rng.standard_normal(shape) for shape in shapes))
    pulled = at.vjp(rng.standard_normal(np.shape(at.value)))
    return [at.value, pushed, *(pulled if isinstance(pulled, tuple) else (pulled,))]


# --- how they are made -----------------------------------------------------------------------------------------------------------


def test_wrong_versions_are_many_distinct_and_always_the_same() -> None:
    """Two makings give the same names and words; no name comes twice, and both ways of making are there."""
    first, second = ([(w.name, w.kind, w.how) for w in wrong_versions(product_difference)] for _ in range(2))
    assert first == second
    assert len({name for name, _, _ in first}) == len(first) >= 100
    assert {"sign", "factor", "transpose", "one entry", "relative 1e-9", "not linear", "dropped term", "dropped factor"} <= {
        k for _, k, _ in first
    }
    assert {"operand order", "exchanged", "state", "mutation", "special points", "non-square", "float32 inside"} <= {k for _, k, _ in first}
    assert {name.partition(" ")[0] for name, _, _ in first} == {"spoiled", "edited"}


def test_the_right_rule_stays_as_it_was() -> None:
    """Making all wrong versions changes nothing about the rule itself, and each keeps its value for the oracles."""
    before = answers(product_difference, (2, 3), (3, 4), (3, 4))
    versions = list(wrong_versions(product_difference))
    after = answers(product_difference, (2, 3), (3, 4), (3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(version.rule.value is product_difference.value for version in versions)
    assert all(version.rule.domains is product_difference.domains for version in versions)


@pytest.mark.parametrize(
    ("how", "place"),
    [
        ("line {}: `dX @ D + X @ (dW - dZ)` became `dX @ D - X @ (dW - dZ)`", 1),
        ("line {}: `dX @ D + X @ (dW - dZ)` became `dX @ D + X @ (dW + dZ)`", 1),
        ("line {}: `dX @ D + X @ (dW - dZ)` became `X @ (dW - dZ)`", 1),
        ("line {}: `(Y_bar @ D.mT, W_bar, -W_bar)` became `(Y_bar @ D.mT, W_bar, W_bar)`", 4),
        ("line {}: `W - Z` became `W + Z`", 0),
        ("the gradient with respect to X is negated", 2),
        ("the gradient with respect to W has its last entry other than zero zeroed", 3),
        ("the jvp takes |dX| for dX", 1),
        ("the gradients with respect to W and Z are exchanged", 4),
        ("the jvp is a relative 1e-9 too large", 1),
    ],
)
def test_a_version_is_wrong_where_it_says(how: str, place: int) -> None:
    """The answer that the words name differs from the right one (value, jvp and the three gradients, counted from 0)."""
    start = product_difference.function.__code__.co_firstlineno
    lines = {w.how: w for w in wrong_versions(product_difference)}
    found = [w for words, w in lines.items() if words in {how, *(how.format(start + k) for k in range(20))}]
    assert len(found) == 1, sorted(lines)
    right, got = (answers(subject, (2, 3), (3, 4), (3, 4)) for subject in (product_difference, found[0].rule))
    assert not np.array_equal(right[place], got[place])


def test_an_array_that_does_not_lie_in_rows_is_spoiled_all_the_same() -> None:
    """A transposed view has its entry zeroed and doubled like any other array."""
    x = np.arange(1.0, 7.0).reshape(2, 3).T
    assert wrong._last_zeroed(x)[-1, -1] == 0
    assert wrong._first_doubled(x)[0, 0] == 2 * x[0, 0]
    assert x[-1, -1] == 6.0


def test_what_a_function_encloses_is_there_in_its_edits() -> None:
    """A rule that was made inside a function is edited with the variables it took from there."""
    inside = made_inside(3.0)
    edits = [w for w in wrong_versions(inside) if w.name.startswith("edited")]
    assert any("became `factor + dx`" in w.how or "became `dx`" in w.how for w in edits)
    assert score(inside).survivors == ()


def test_a_rule_without_source_is_spoiled_only() -> None:
    """Where no source can be read there are no edits, and nothing is raised."""
    space: dict[str, Any] = {"Linearization": Linearization}
    exec("def f(x):\n    '''$$ y = 2 x $$'''\n    return Linearization(2 * x, lambda dx: 2 * dx, lambda y_bar: 2 * y_bar)", space)
    made = space["f"]
    assert isinstance(made, FunctionType)
    made.__module__ = __name__
    versions = list(wrong_versions(rule(COOKBOOK, x=real("n"))(made)))
    assert {w.name.partition(" ")[0] for w in versions} == {"spoiled"}


def test_edits_reach_helpers_of_the_module_and_leave_the_tree_as_it_was() -> None:
    """Each edit is undone before the next; a helper that the rule calls is edited too."""
    tree = wrong._source(doubled_in_two_ways.function)
    assert tree is not None
    before = ast.unparse(tree)
    words = [how for _, how in wrong._edits(tree, {})]
    assert ast.unparse(tree) == before
    assert any(how.startswith(f"line {_twice.__code__.co_firstlineno + 3}: ") for how in words)


# --- what is wrong and what only looks so ----------------------------------------------------------------------------------------


def spoilt(subject: AnyRule, word: str, change: Any) -> AnyRule:
    return under(subject, wrong._rebuilt(subject.function, word, wrong._on_result(0, change)))


@pytest.mark.parametrize(
    ("change", "truly"),
    [
        (lambda g: g * (1 + 1e-9), True),
        (lambda g: g * (1 + 1e-15), False),
        (lambda g: (g + g.mT) / 2, False),
        (lambda g: g + np.triu(np.ones(g.shape), 1) - np.tril(np.ones(g.shape), -1), False),
        (np.tril, True),
        (lambda g: g[:0], True),
        (lambda g: g * np.nan, True),
    ],
)
def test_a_gradient_at_a_symmetric_point_is_wrong_where_tangents_see_it(change: Any, truly: Any) -> None:
    """Off by 1e-9 is wrong, off by rounding is not, and what no symmetric tangent sees is not."""
    assert Truth(squares).compare(spoilt(squares, "vjp", change))[0] is truly


def test_entries_outside_of_a_triangle_are_wrong() -> None:
    """Where the domain demands that a gradient has its structure, all of its entries count."""
    full = spoilt(triangle_sum, "vjp", lambda g: g + np.triu(np.ones(g.shape), 1))
    truly, words = Truth(triangle_sum).compare(full)
    assert truly
    assert words.startswith("its vjp is off by a relative ")


def test_what_is_wrong_at_special_points_alone_is_wrong() -> None:
    """A mistake at equal entries only is found, though no random point has any."""
    special = [w for w in wrong_versions(product_difference) if w.kind == "special points" and "ties" in w.how]
    assert special
    truth = Truth(product_difference)
    for version in special:
        truly, words = truth.compare(version.rule)
        assert truly
        assert "random" not in words


# --- the score -------------------------------------------------------------------------------------------------------------------


QUICK = ["matmul", "logdet", "softmax"]
SLOW = ["cholesky", "hadamard", "kronecker", "quadratic_form", "trace_axbxt", "det", "inverse", "linear_solve", "inverse_quadratic", "eigh"]
SLOW += ["matrix_exponential", "softmax_cross_entropy", "layer_norm", "attention", "rbf_kernel", "gaussian_log_density"]
SLOW += ["two_layer_bce", "logsumexp", "lasso", "frobenius_norm", "squared_distance"]


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_no_wrong_version_survives(name: str) -> None:
    """Every wrong version of these rules is refuted; none that is right is."""
    found = score(CATALOGUE[name])
    assert found.reason == ""
    assert [fate.how for fate in found.survivors] == []
    assert [fate.how for fate in found.disputed] == []
    assert len(found.killed) >= 40
    assert all(fate.by for fate in found.killed)


def test_a_blind_checker_kills_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Survivors are found without the checker's help: with one that sees nothing, all that is wrong survives."""
    seeing = score(squares)
    monkeypatch.setattr(wrong, "judged", lambda *_: None)
    monkeypatch.setattr(wrong, "examined", lambda *_: None)
    blind = score(squares)
    assert blind.killed == ()
    assert {fate.name for fate in blind.survivors} == {fate.name for fate in (*seeing.killed, *seeing.survivors)}
    assert {fate.name for fate in blind.equivalents} == {fate.name for fate in seeing.equivalents}
    assert all(fate.reason for fate in (*blind.survivors, *blind.equivalents))


def test_a_checker_that_cries_wolf_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions that are not wrong and are refuted all the same stand apart."""
    honest = wrong.examined

    def wolf(subject: Any, *rest: Any) -> Any:
        return honest(subject, *rest) if subject is squares else wrong.Evidence("vjp", "a wolf", wrong.Status.REFUTED, 1, note="wolf")

    monkeypatch.setattr(wrong, "examined", wolf)
    found = score(squares)
    assert found.equivalents == ()
    assert found.disputed
    assert all("wolf; but" in fate.reason for fate in found.disputed)


def test_a_checker_that_breaks_has_refuted_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception out of the checker is a survivor with its name, not a kill."""

    def broken(subject: Any, *_: Any) -> None:
        if subject is not squares:
            raise ZeroDivisionError("tripped")

    monkeypatch.setattr(wrong, "judged", broken)
    monkeypatch.setattr(wrong, "examined", broken)
    found = score(squares)
    assert found.killed == ()
    assert {fate.reason for fate in found.survivors} == {"the checker raises ZeroDivisionError: tripped"}


def test_lines_that_never_run_are_not_called_right() -> None:
    """Edits of a branch for long vectors, which no case has, are neither killed nor equivalent."""
    found = score(doubled_in_two_ways)
    branch = _twice.__code__.co_firstlineno + 2
    assert found.unreached
    assert all(fate.how.startswith(f"line {branch}: ") for fate in found.unreached)
    assert all("comes by at none of" in fate.reason for fate in found.unreached)


def test_a_rule_that_is_wrong_itself_has_no_score() -> None:
    """Wrong versions of a wrong rule tell nothing."""
    found = score(doubled_but_wrong)
    assert found.total == 0
    assert found.reason.startswith("doubled_but_wrong itself is refuted: ")


def test_a_score_is_summed_up_in_numbers() -> None:
    """Killed and total by kind of mistake, and how many each property killed."""
    fate = Fate("spoiled 1", "sign", "the jvp is negated")
    killed = (replace(fate, by="jvp"), replace(fate, kind="factor", by="vjp"), replace(fate, by="jvp"))
    found = summary(Score("a", killed, survivors=(replace(fate, reason="off by 2"),), equivalents=(fate, fate), seconds=3.0))
    assert (found.killed, found.total, found.equivalents, found.disputed, found.unreached, found.seconds) == (3, 4, 2, 0, 0, 3.0)
    assert found.kinds == {"factor": (1, 1), "sign": (2, 3)}
    assert found.properties == {"jvp": 2, "vjp": 1}
    assert found.survivors == ("sign: the jvp is negated; off by 2",)
