"""Rules that are wrong at special points only are refuted there, right ones are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from matcalc import special
from matcalc.array import absolute, eye, inner, inv, largest, sqrt, step, total, tril, where
from matcalc.catalogue import installed
from matcalc.domain import (
    Domain,
    invertible,
    lower_triangular,
    positive,
    positive_definite,
    real,
    simple_spectrum,
    symmetric,
    tall,
)
from matcalc.rule import Linearization, Rule
from matcalc.source import COOKBOOK
from matcalc.verdict import Evidence, Status

Subject = Rule[Any, Any]


def rule(function: Callable[..., Linearization[Any]], **domains: Domain) -> Subject:
    """A rule without a statement of its own."""
    function.__doc__ = "A function. $$ f = f(x) $$"
    return Rule(function, domains, (COOKBOOK,))


def scalar(name: str, value: Callable[[Any], Any], gradient: Callable[[Any], Any], domain: Domain) -> Subject:
    """A rule for a number that depends on one array."""

    def function(x: Any) -> Linearization[Any]:
        g = gradient(x)
        return Linearization(value(x), lambda dx: total(g * dx), lambda f_bar: f_bar * g)

    function.__name__ = name
    return rule(function, x=domain)


def entrywise(name: str, value: Callable[[Any], Any], slope: Callable[[Any], Any], domain: Domain) -> Subject:
    """A rule for a function of each entry."""

    def function(x: Any) -> Linearization[Any]:
        return Linearization(value(x), lambda dx: slope(x) * dx, lambda y_bar: slope(x) * y_bar)

    function.__name__ = name
    return rule(function, x=domain)


def failures(subject: Subject, seed: int = 0) -> dict[str, str]:
    """What is refuted, by property, and the sentences that say it."""
    evidence, _ = special.survey(subject, seed=seed)
    return {e.property: e.note for e in evidence if e.status is Status.REFUTED}


# --- determinants, inverses, products -------------------------------------------------------------------------------------------


def adjugate(x: Any) -> Any:
    """By minors: right for every matrix."""
    n = x.shape[0]
    result = np.zeros_like(x)
    for i in range(n):
        for j in range(n):
            minor = np.delete(np.delete(x, i, 0), j, 1)
            result[j, i] = (-1) ** (i + j) * (np.linalg.det(minor) if n > 1 else 1.0)
    return result


def det_gradient_by_inverse(x: Any) -> Any:
    """The rule of pytorch #104675: zero where the matrix is singular."""
    d = np.linalg.det(x)
    return d * np.linalg.inv(x).T if abs(d) > 1e-12 * np.linalg.norm(x) ** x.shape[0] else 0 * x


def det_gradient_for_positive_only(x: Any) -> Any:
    return np.abs(np.linalg.det(x)) * np.linalg.inv(x).T


def product_gradient(x: Any) -> Any:
    return np.array([np.prod(np.delete(x, i)) for i in range(len(x))])


def product_gradient_by_division(x: Any) -> Any:
    """The rule of pytorch #106789: 0 / 0 is taken for 0."""
    safe = np.where(x == 0, 1.0, x)
    return np.where(x == 0, 0.0, np.prod(x) / safe)


def inverse(wrong_at: Callable[[Any], bool]) -> Subject:
    """X to inv(X), its jvp halved where a condition holds."""

    def function(x: Any) -> Linearization[Any]:
        y = inv(x)
        c = 0.5 if wrong_at(x) else 1.0
        return Linearization(y, lambda dx: -c * (y @ dx @ y), lambda y_bar: -c * (y.mT @ y_bar @ y.mT))

    return rule(function, x=invertible("n"))


def with_repeated_spectrum(x: Any) -> bool:
    s = np.linalg.svd(np.asarray(x), compute_uv=False)
    return bool(len(s) > 1 and np.any(s[:-1] - s[1:] < 1e-12 * s[0]))


def with_close_spectrum(x: Any) -> bool:
    s = np.linalg.svd(np.asarray(x), compute_uv=False)
    return bool(len(s) > 1 and np.any((s[:-1] - s[1:] < 1e-7 * s[0]) & (s[:-1] - s[1:] > 1e-10 * s[0])))


def test_determinant_at_rank_one_less() -> None:
    right = scalar("det", np.linalg.det, lambda x: adjugate(x).T, real("n n"))
    wrong = scalar("det", np.linalg.det, det_gradient_by_inverse, real("n n"))
    assert not failures(right)
    found = failures(wrong)
    assert "rank 1 less than full" in found["special"] or "one exact zero" in found["special"] or "zero" in found["special"]


def test_negative_determinant() -> None:
    wrong = scalar("det", np.linalg.det, det_gradient_for_positive_only, invertible("n"))
    assert "vjp" in failures(wrong)["special"] or "jvp" in failures(wrong)["special"]
    assert not failures(scalar("det", np.linalg.det, lambda x: np.linalg.det(x) * np.linalg.inv(x).T, invertible("n")))


def test_product_with_zeros() -> None:
    assert not failures(scalar("prod", np.prod, product_gradient, real("n")))
    assert "zero" in failures(scalar("prod", np.prod, product_gradient_by_division, real("n")))["special"]


@pytest.mark.parametrize("wrong_at", [with_repeated_spectrum, with_close_spectrum, lambda x: np.linalg.cond(x) > 1e3])
def test_inverse_wrong_at_some_spectra(wrong_at: Callable[[Any], bool]) -> None:
    assert "special" in failures(inverse(wrong_at))


def test_right_inverse_passes() -> None:
    assert not failures(inverse(lambda _: False))


@pytest.mark.parametrize(
    ("domain", "wrong_at", "kind"),
    [
        (positive_definite("n"), lambda x: len(x) > 1 and np.allclose(x, x[0, 0] * np.eye(len(x))), "condition 1"),
        (symmetric("n"), lambda x: not np.any(x), "zero"),
        (symmetric("n"), lambda x: len(x) > 2 and np.linalg.matrix_rank(x) == len(x) - 2, "rank 2 less than full"),
        (simple_spectrum("n>=1"), lambda x: len(x) > 1 and np.min(np.diff(np.linalg.eigvalsh(x))) < 1e-7, "eigenvalues 1e-8 apart"),
        (real("n m"), lambda x: len(x) > 1 and np.array_equal(x[0], x[1]), "equal rows"),
        (real("n"), lambda x: np.any(np.signbit(x) & (x == 0)), "negative zeros"),
        (real("n m"), lambda x: x.shape[0] > x.shape[1], "tall"),
        (real("n n"), lambda x: len(x) > 1 and np.array_equal(x, x.T), "symmetric"),
        (positive("n"), lambda x: x.size and np.max(x) > 1e5 and np.min(x) < 1e5, "an entry of 1e6"),
        (tall("m n"), lambda x: x.shape[1] > 1 and np.linalg.cond(x) > 1e7, "condition 1e8"),
        (real("n"), lambda x: x.size and np.max(np.abs(x)) > 1e5, "scale 1e+06"),
        (real("n"), lambda x: x.size and 0 < np.max(np.abs(x)) < 1e-5, "scale 1e-06"),
    ],
)
def test_wrong_at_one_kind_only(domain: Domain, wrong_at: Callable[[Any], bool], kind: str) -> None:
    def gradient(x: Any) -> Any:
        return 2 * x + 1 + (0.25 * (1 + np.abs(x)) if wrong_at(x) else 0 * x)

    assert kind in failures(scalar("squares", lambda x: np.sum(x * x + x), gradient, domain))["special"]
    assert not failures(scalar("squares", lambda x: np.sum(x * x + x), lambda x: 2 * x + 1, domain))


# --- kinks ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at_zero", "right"), [(0.0, True), (1.0, True), (0.5, True), (7.0, False), (-0.2, False)])
def test_rectifier_at_zero(at_zero: float, *, right: bool) -> None:
    subject = entrywise("relu", lambda x: np.maximum(x, 0), lambda x: np.where(x == 0, at_zero, 1.0 * (x > 0)), real("n"))
    assert ("kink" in failures(subject)) is not right
    assert right is not bool(failures(subject))


@pytest.mark.parametrize(("weights", "right"), [("split", True), ("first", True), ("all", False), ("none", False)])
def test_maximum_at_ties(weights: str, *, right: bool) -> None:
    """Theano #4568 gave each of two equal arguments the whole gradient."""

    def gradient(x: Any) -> Any:
        ties = 1.0 * (x == np.max(x))
        first = 1.0 * (np.arange(len(x)) == np.argmax(x))
        return {"split": ties / np.sum(ties), "first": first, "all": ties, "none": ties * (np.sum(ties) == 1)}[weights]

    subject = scalar("maximum", np.max, gradient, real("n>=1"))
    for seed in range(3):
        assert right is not bool(failures(subject, seed)), failures(subject, seed)


@pytest.mark.parametrize(("share", "right"), [(True, True), (False, False)])
def test_infinity_norm_at_ties(*, share: bool, right: bool) -> None:
    """The rule of pytorch #41779: three equal entries got a subgradient of weight three."""

    def gradient(x: Any) -> Any:
        ties = 1.0 * (np.abs(x) == np.max(np.abs(x))) * np.sign(x)
        return ties / np.sum(np.abs(ties)) if share and np.any(ties) else ties

    subject = scalar("infinity_norm", lambda x: np.max(np.abs(x)), gradient, real("n>=1"))
    assert right is not bool(failures(subject)), failures(subject)


def test_norm_at_zero() -> None:
    def safely(x: Any) -> Any:
        size = np.sqrt(np.sum(x * x))
        return x / size if size else 0 * x

    assert not failures(scalar("norm", lambda x: np.sqrt(np.sum(x * x)), safely, real("n")))
    assert "nan" in failures(scalar("norm", lambda x: np.sqrt(np.sum(x * x)), lambda x: x / np.sqrt(np.sum(x * x)), real("n>=1")))["kink"]


def test_nan_at_zero_where_the_derivative_exists() -> None:
    def sinc(x: Any) -> Any:
        return np.where(x == 0, 1.0, np.sin(x) / np.where(x == 0, 1.0, x))

    def careful(x: Any) -> Any:
        safe = np.where(np.abs(x) < 1e-3, 1.0, x)
        return np.where(np.abs(x) < 1e-3, -x / 3 + x**3 / 30, np.cos(x) / safe - np.sin(x) / safe**2)

    near = real("n")
    found = failures(entrywise("sinc", sinc, lambda x: np.cos(x) / x - np.sin(x) / x**2, near))
    assert "nan" in found["special"]
    assert not failures(entrywise("sinc", sinc, careful, near))


@pytest.mark.parametrize(("factor", "right"), [(1.0, True), (5.0, False)])
def test_sum_of_rectifiers_of_both_signs(factor: float, *, right: bool) -> None:
    """It bends both ways, so a valid derivative need not lie between the two one-sided ones; a gross one is refuted all the same."""
    signs = np.array([1.0, -1.0, 1.0, 1.0, -1.0])

    def value(x: Any) -> Any:
        return np.sum(signs[: len(x)] * np.maximum(x, 0))

    def gradient(x: Any) -> Any:
        return signs[: len(x)] * (x > 0) + (factor - 1) * (x == 0)

    for seed in range(4):
        found = failures(scalar("both", value, gradient, real("n")), seed)
        assert right is not bool(found), found


def test_only_a_vjp_at_a_kink() -> None:
    from matcalc.rule import unclaimed

    def of(weight: float) -> Subject:
        def function(x: Any) -> Linearization[Any]:
            return Linearization(
                largest(x), unclaimed, lambda f_bar: f_bar * weight * step(x == largest(x), x) / total(step(x == largest(x), x))
            )

        return rule(function, x=real("n>=1"))

    assert not failures(of(1.0))
    assert "kink" in failures(of(1.0001)) or "special" in failures(of(1.0001))


# --- what is not read, how arrays lie, the ends of the range --------------------------------------------------------------------


def triangular(*, masked: bool, leak: float = 0.0) -> Subject:
    def function(x: Any) -> Linearization[Any]:
        t = tril(x) if masked else x
        g = 2 * tril(t) + leak * (1 - tril(eye(len(x), x) * 0 + 1))
        return Linearization(inner(t, t), lambda dx: 2 * inner(t, dx), lambda f_bar: f_bar * g)

    return rule(function, x=lower_triangular("n"))


def test_triangle_that_is_not_read() -> None:
    assert not failures(triangular(masked=True))
    assert "reads entries of x" in failures(triangular(masked=False))["poison"]
    assert "not exactly zero" in failures(triangular(masked=True, leak=1e-30))["poison"]


def test_order_in_memory() -> None:
    def raw(x: Any) -> Any:
        return 2 * np.ravel(x, order="K").reshape(x.shape)

    wrong = scalar("squares", lambda x: np.sum(x * x), raw, real("n m"))
    assert "Fortran order" in failures(wrong)["layout"]


def test_ends_of_the_range() -> None:
    def gradient(x: Any) -> Any:
        return x**3 / np.sqrt(np.sum(x * x)) / np.where(x == 0, 1.0, x) ** 2

    found = failures(scalar("norm", lambda x: np.sqrt(np.sum(x * x)), gradient, real("n>=1")))
    assert "nan or inf where x has scale" in found["extremes"]


def test_a_rule_that_raises_at_a_special_point() -> None:
    def gradient(x: Any) -> Any:
        return np.linalg.det(x) * np.linalg.inv(x).T

    assert "raises LinAlgError at a special point" in failures(scalar("det", np.linalg.det, gradient, real("n n")))["special"]


# --- the census ------------------------------------------------------------------------------------------------------------------


def test_the_census_names_every_kind() -> None:
    subject = inverse(lambda _: False)
    _, census = special.survey(subject)
    kinds = {line.kind for line in census}
    assert {"repeated singular values", "negative determinant", "condition 1e12", "scale 1e+06", "size 0", "size 1", "strided"} <= kinds
    assert not special.missing(subject, census)
    assert special.missing(subject, [line for line in census if line.kind != "condition 1e12"]) == ["x: condition 1e12"]
    assert all(0 <= line.judged <= line.cases for line in census)
    assert next(line for line in census if line.kind == "repeated singular values").judged


def test_the_census_does_not_depend_on_the_seed() -> None:
    subject = installed()["linear_solve"]
    first, second = ({(p.input, p.kind) for p in special.places(subject, seed=seed)} for seed in (0, 1))
    assert first == second


MORE = ("spd_logarithm", "entry_product", "gram_of_cholesky", "p_norm", "relu_network")


@pytest.mark.parametrize("name", ["det", "cholesky", "attention", *(pytest.param(name, marks=pytest.mark.slow) for name in MORE)])
def test_right_rules_pass(name: str) -> None:
    subject = installed()[name]
    for seed in range(3):
        evidence, census = special.survey(subject, seed=seed)
        assert [e.note for e in evidence if e.status is Status.REFUTED] == []
        assert not special.missing(subject, census)


def test_evidence_is_plain() -> None:
    evidence, _ = special.survey(scalar("root", lambda x: np.sum(sqrt(x)), lambda x: 0.5 / sqrt(x), positive("n")))
    assert {e.property for e in evidence} == {"special", "layout", "extremes"}
    assert all(isinstance(e, Evidence) and e.cases for e in evidence)


def test_absolute_value_of_a_number() -> None:
    for at_zero, right in ((0.0, True), (1.5, False)):

        def slope(x: Any, at_zero: float = at_zero) -> Any:
            return where(x == 0, at_zero + 0 * x, where(x < 0, -1.0 + 0 * x, 1.0))

        assert right is not bool(failures(entrywise("magnitude", absolute, slope, real())))
