"""Exact arithmetic: residues, balls and dual numbers compute what they must, and no wrong rule gets past the proof.

The wrong versions here are off by parts in 10^12, in one entry, in a sign or a transpose: what no floating-point oracle can tell.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from matcalc import array
from matcalc import domain as d
from matcalc.catalogue import AnyRule, installed
from matcalc.domain import Domain
from matcalc.exact import (
    PRIME,
    Ball,
    BallDual,
    Field,
    FieldDual,
    NoExactFormError,
    UndecidedError,
    UndefinedPointError,
    simple_fraction,
    working_precision,
)
from matcalc.proof import prove
from matcalc.rule import Linearization
from matcalc.verdict import Status


@lru_cache(maxsize=1)
def catalogue() -> Any:
    return installed()


@lru_cache
def rule(name: str) -> AnyRule:
    return catalogue()[name]


@dataclass(frozen=True)
class Claim:
    """A function with a derivative that is claimed for it."""

    function: Callable[..., Linearization[Any]]
    domains: dict[str, Domain]
    name: str = "claim"
    differentiated: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        free = tuple(name for name, domain in self.domains.items() if not domain.held)
        object.__setattr__(self, "differentiated", free)

    @property
    def value(self) -> Callable[..., Any]:
        return lambda *inputs: self.function(*inputs).value


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture
def _precise() -> Any:
    with working_precision():
        yield


def residues(fractions: Any) -> Field:
    return Field.constant(np.array(fractions, dtype=object))


# --- constants ------------------------------------------------------------------------------------------------------------------


def test_neither_jax_nor_another_framework_is_imported() -> None:
    code = "import sys, matcalc.exact, matcalc.proof; assert not {'jax', 'torch'} & set(sys.modules), 'imported'"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    "fraction", ["1/3", "2/7", "26829/200000", "1/1000000", "-5/6", "64764752532480000", "1/1099511627776", "0", "1e-9"]
)
def test_a_float_stands_for_the_fraction_it_was_written_as(fraction: str) -> None:
    assert simple_fraction(float(Fraction(fraction))) == Fraction(fraction)


def test_a_computed_product_of_literals_is_that_product() -> None:
    assert simple_fraction(3 * 0.044715) == Fraction("0.134145")


@pytest.mark.parametrize("x", [math.pi, math.sqrt(2), math.log(2), 1 / math.sqrt(2 * math.pi), 0.7978845608028654])
def test_an_irrational_constant_is_no_fraction(x: float) -> None:
    assert simple_fraction(x) is None
    with pytest.raises(NoExactFormError, match="no simple fraction"):
        Field.constant(x)


@pytest.mark.usefixtures("_precise")
@pytest.mark.parametrize(
    ("x", "equation"),
    [
        (math.sqrt(2), lambda c: c * c - 2),
        (-1 / math.sqrt(3), lambda c: 3 * c * c - 1),
        (2 * math.pi, lambda c: (c / 4).sin() - 1),
        (math.sqrt(2 / math.pi), lambda c: c * c / 2 - 1 / (4 * Ball.constant(1).entries[()].atan())),
        (math.log(2), lambda c: c.exp() - 2),
        (math.log(2 * math.pi), lambda c: (c.exp() / 4).sin() - 1),
    ],
)
def test_an_irrational_constant_is_known_to_seventy_digits_in_balls(x: float, equation: Callable[[Any], Any]) -> None:
    rest = equation(Ball.constant(x).entries[()])
    assert rest.contains(0)
    assert rest.abs_upper() < 1e-70


@pytest.mark.usefixtures("_precise")
def test_a_constant_of_no_known_form_is_a_ball_of_all_it_may_stand_for() -> None:
    x = 0.8346268416740731  # Gauss's constant
    ball = Ball.constant(x).entries[()]
    assert not ball.is_exact()
    assert ball.contains(Ball.constant(Fraction(x)).entries[()])
    assert ball.rad() < 1e-14


@pytest.mark.parametrize("kind", [Field, Ball])
@pytest.mark.parametrize("x", [math.inf, math.nan])
def test_what_is_not_finite_has_no_exact_form(kind: Any, x: float) -> None:
    with pytest.raises(NoExactFormError, match="has no exact form"):
        kind.constant(x)


# --- residues -------------------------------------------------------------------------------------------------------------------


def test_residues_compute_as_fractions_do(rng: np.random.Generator) -> None:
    a, b = ([[Fraction(int(p), int(q)) for p, q in rng.integers(1, 99, (3, 2))] for _ in range(3)] for _ in range(2))
    A, B = (np.array(x, dtype=object) for x in (a, b))
    x, y = residues(a), residues(b)
    for got, expected in [
        (x + y, A + B),
        (x - y, A - B),
        (x * y, A * B),
        (x / y, A / B),
        (x @ y, A @ B),
        (-x, -A),
        (x**3, A**3),
        (2 / x, 2 / A),
    ]:
        assert (got == residues(expected)).all()


def test_products_of_large_residues_do_not_overflow() -> None:
    x = Field(np.full((40, 40), PRIME - 1))
    assert (x @ (x - 1) == 80).all()
    assert ((x * x) == 1).all()


def test_square_roots_of_residues_are_multiplicative(rng: np.random.Generator) -> None:
    x, y = (Field.random(rng, (50,)) ** 2 for _ in range(2))
    assert (array.sqrt(x) ** 2 == x).all()
    assert (array.sqrt(x * y) == array.sqrt(x) * array.sqrt(y)).all()
    with pytest.raises(UndefinedPointError):
        array.sqrt(-x)


@pytest.mark.parametrize("n", [2, 3, 5, 7, 10, 12, 13])
def test_small_constants_have_roots(n: int) -> None:
    assert array.sqrt(Field.constant(n)) ** 2 == n


@pytest.mark.parametrize(
    ("word", "operation"),
    [
        ("exp", array.exp),
        ("erf", array.erf),
        ("log", array.log),
        ("comparison", array.absolute),
        ("comparison", array.largest),
        ("comparison", lambda x: x > 0),
        ("comparison", array.argsort),
        ("log", lambda x: x**0.3),
        ("conversion to float", lambda x: float(x[0])),
        ("ceil", lambda x: x.__array_namespace__().ceil(x)),
        ("eigh", lambda x: array.eigh(array.outer(x, x))),
        ("svd", lambda x: array.thin_svd(array.outer(x, x))),
        ("eig_real", lambda x: array.eig_real(array.outer(x, x))),
    ],
)
def test_what_has_no_exact_form_says_so(word: str, operation: Callable[[Any], Any], rng: np.random.Generator) -> None:
    with pytest.raises(NoExactFormError, match=word):
        operation(Field.random(rng, (3,)))


def test_masks_of_constants_may_be_compared() -> None:
    assert (array.eye(3, Field.constant(0)) > 0).tolist() == np.eye(3, dtype=bool).tolist()


def on_a_line(make: Callable[[Field], Field], degree: int, rng: np.random.Generator) -> bool:
    """Whether a polynomial function of a 3 x 3 matrix is of at most this degree: its differences of the next order vanish."""
    start, step = (Field.random(rng, (3, 3)).entries for _ in range(2))
    values = [make(Field(((start.astype(object) + k * step) % PRIME).astype(np.int64))) for k in range(degree + 2)]
    return bool(sum((-1) ** k * math.comb(degree + 1, k) % PRIME * v for k, v in enumerate(values)) == 0)


@pytest.mark.parametrize(
    ("make", "degree"),
    [
        (array.det, 3),
        (lambda X: array.trace(X @ X @ X) + X[0, 0] ** 5, 5),
        (lambda X: (array.inv(X) * array.det(X))[0, 1], 5),
        (lambda X: array.total(X[0] / 7) * 2 + 1, 1),
    ],
)
def test_degrees_are_bounds(make: Callable[[Any], Any], degree: int, rng: np.random.Generator) -> None:
    assert make(Field.random(rng, (3, 3))).degree.top == degree
    assert on_a_line(make, degree, rng)
    if degree != 5 or make(Field.random(rng, (3, 3))).degree.bottom == 0:
        assert not on_a_line(make, degree - 1, rng)


def test_degrees_grow_neither_by_sums_over_one_denominator_nor_without_reason(rng: np.random.Generator) -> None:
    x, y = (Field.random(rng, (3,)) for _ in range(2))
    q = 1 / y[0]
    assert (q * x + q * y - q).degree.top == 1
    assert (q * x + q * y - q).degree.bottom == 1
    assert (x / y).degree.bottom == 3
    assert (x / (y / 3)).degree.top == 3
    assert array.sqrt(x * x * x * x).degree.top == 2
    assert len(array.norm(x[:1]).degree.roots) == 1
    assert Field.constant(7).degree.chance == 0


def test_a_point_that_looks_right_by_chance_is_as_rare_as_the_bound_says(rng: np.random.Generator) -> None:
    """A polynomial with as many roots as its degree: x (x-1) ... (x-9) vanishes at 10 residues of p, and the bound is 10/p."""
    x = Field.random(rng, (1,))
    product = x
    for k in range(1, 10):
        product = product * (x - k)
    assert product.degree.chance == pytest.approx(10 / PRIME)


# --- balls ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_precise")
@pytest.mark.parametrize(
    ("word", "of"),
    [
        (array.exp, math.exp),
        (array.expm1, math.expm1),
        (array.tanh, math.tanh),
        (array.arctan, math.atan),
        (array.erf, math.erf),
        (array.erfc, math.erfc),
        (array.sigmoid, lambda x: 1 / (1 + math.exp(-x))),
        (array.softplus, lambda x: math.log1p(math.exp(x))),
        (array.log_gamma, math.lgamma),
        (array.sqrt, math.sqrt),
        (lambda x: x**0.3, lambda x: x**0.3),
        (lambda x: 2**x, lambda x: 2**x),
        (lambda x: array.arctan2(x, -2 * x), lambda x: math.atan2(x, -2 * x)),
    ],
)
def test_words_in_balls_are_the_functions_and_so_are_their_derivatives(word: Any, of: Callable[[float], float]) -> None:
    x, h = 0.7, 1e-5
    dual = word(BallDual(Ball.constant(x), Ball.constant(1)))
    assert float(dual.value.entries[()]) == pytest.approx(of(x), rel=1e-14)
    assert float(dual.tangent.entries[()]) == pytest.approx((of(x + h) - of(x - h)) / (2 * h), rel=1e-8)
    assert dual.value.entries[()].rad() < 1e-70


@pytest.mark.usefixtures("_precise")
def test_comparisons_of_balls_are_decided_or_refused() -> None:
    third = Ball.constant(Fraction(1, 3))
    assert bool(third < 1)
    assert bool(third == third)  # noqa: PLR0124  (one ball is one number)
    assert array.argsort(Ball.constant([3, 1, 2, 1])).tolist() == [1, 3, 2, 0]
    with pytest.raises(UndecidedError):
        _ = third * 3 > 1
    with pytest.raises(UndefinedPointError):
        _ = 1 / (third * 3 - 1)
    with pytest.raises(UndefinedPointError):
        array.log(-third)


# --- dual numbers and matrices --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_precise")
@pytest.mark.parametrize("kind", [FieldDual, BallDual])
def test_factorisations_of_dual_matrices_multiply_back(kind: Any, rng: np.random.Generator) -> None:
    X = kind.random(rng, (4, 4))
    K = d.positive_definite("n").rational(X)
    L = array.cholesky(K)
    lower, upper = array.lu(X)
    Q, R = array.qr(d.orthonormal("m n").rational(kind.random(rng, (4, 2))) @ L[:2, :2].mT)
    gaps = [
        array.inv(X) @ X - array.identity_like(X),
        X @ array.solve(X, K) - K,
        L @ L.mT - K,
        array.triu(L, 1),
        lower @ upper - X,
        array.tril(upper, -1),
        Q.mT @ Q - array.identity_like(Q),
        array.tril(R, -1),
        array.solve_lower(L, L @ X) - X,
        array.solve_upper(L.mT, X, transpose=True) - array.solve_lower(L, X),
        array.det(X @ K) - array.det(X) * array.det(K),
    ]
    for gap in gaps:
        for part in (gap.value.entries.ravel(), gap.tangent.entries.ravel()):
            assert all(e == 0 for e in part) if kind is FieldDual else all(e.contains(0) and e.abs_upper() < 1e-60 for e in part)


def test_the_determinant_of_a_singular_matrix_has_its_derivative() -> None:
    A, dA = np.array([[1, 2, 3], [2, 4, 6], [1, 0, 1]]), np.array([[1, 0, 0], [0, 5, 0], [0, 0, 2]])
    adjugate = np.array([[4, -2, 0], [4, -2, 0], [-4, 2, 0]])
    f = array.det(FieldDual(Field(A), Field(dA)))
    assert f.value == 0
    assert f.tangent == int(np.sum(adjugate.T * dA))


def test_no_dual_number_loses_its_tangent_unseen(rng: np.random.Generator) -> None:
    x = BallDual.random(rng, (3,))
    for lossy in (lambda: float(x[0]), lambda: math.exp(x[0]), lambda: np.exp(x), lambda: np.asarray(x, dtype=float)):
        with pytest.raises((NoExactFormError, TypeError, ValueError)):
            lossy()


# --- points ---------------------------------------------------------------------------------------------------------------------

DENSE: dict[str, tuple[Domain, tuple[int, ...], Any]] = {
    "positive": (d.positive("n"), (3,), lambda x: (x > 0).all()),
    "interval": (d.interval(-1, 2, "n"), (3,), lambda x: ((x > -1) & (x < 2)).all()),
    "simplex": (d.simplex("n"), (3,), lambda x: (x > 0).all() and abs(x.sum() - 1) < 1e-12),
    "symmetric": (d.symmetric("n"), (3, 3), lambda x: (x == x.T).all()),
    "positive_definite": (d.positive_definite("n"), (3, 3), lambda x: np.linalg.eigvalsh(x).min() > 0),
    "lower_triangular": (d.lower_triangular("n"), (3, 3), lambda x: (np.triu(x, 1) == 0).all() and (np.diag(x) > 0).all()),
    "upper_triangular": (d.upper_triangular("n"), (3, 3), lambda x: (np.tril(x, -1) == 0).all() and (np.diag(x) > 0).all()),
    "skew": (d.skew_symmetric("n"), (3, 3), lambda x: (x == -x.T).all()),
    "contraction": (d.contraction("n"), (3, 3), lambda x: np.linalg.norm(x, 2) < 0.5),
    "orthonormal": (d.orthonormal("m n"), (4, 2), lambda x: np.abs(x.T @ x - np.eye(2)).max() < 1e-12),
    "dominant": (d.dominant_columns("n"), (3, 3), lambda x: (2 * abs(np.diag(x)) > abs(x).sum(axis=0)).all()),
    "real_spectrum": (d.real_spectrum("n"), (3, 3), lambda x: abs(np.linalg.eigvals(x).imag).max() < 1e-9),
    "distinct": (d.distinct("n"), (3,), lambda x: len(set(x)) == len(x)),
}


@pytest.mark.parametrize(("domain", "shape", "inside"), DENSE.values(), ids=DENSE)
def test_rational_points_lie_in_the_domain(domain: Domain, shape: tuple[int, ...], inside: Any, rng: np.random.Generator) -> None:
    for scale in (0.01, 1, 100):
        for _ in range(10):
            assert inside(domain.rational(scale * rng.standard_normal(shape)))


@pytest.mark.parametrize(("domain", "shape"), [v[:2] for v in DENSE.values()], ids=DENSE)
def test_their_tangents_lie_in_the_tangent_space_and_fill_it(domain: Domain, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    """As many independent tangents come from noise as the projection on the tangent space has."""
    noise, h = rng.standard_normal(shape), 1e-6
    here = domain.rational(noise)
    basis = np.eye(noise.size).reshape(-1, *shape)
    moved = [(domain.rational(noise + h * b) - domain.rational(noise - h * b)) / (2 * h) for b in basis]
    projected = [domain.tangent(here, b) for b in basis]
    for tangent in moved:
        assert domain.tangent(here, tangent) == pytest.approx(tangent, abs=1e-6)
    ranks = [np.linalg.matrix_rank(np.reshape(some, (noise.size, -1)), tol=1e-6) for some in (moved, projected)]
    assert ranks[0] == ranks[1]


# --- proofs ---------------------------------------------------------------------------------------------------------------------

RATIONAL = ["det", "inverse", "linear_solve", "trace_inverse_product", "cholesky", "qr", "lu", "kronecker", "schur_complement", "conv1d"]
ROOTED = ["euclidean_norm", "cosine_similarity", "standard_deviation", "rms_norm", "layer_norm"]
TRANSCENDENTAL = ["logdet", "softmax", "gelu", "gaussian_log_density", "matern32_kernel", "student_t_log_density", "power"]


@pytest.mark.parametrize("name", RATIONAL + ROOTED)
def test_a_rational_rule_is_proved(name: str) -> None:
    jvp, vjp = prove(rule(name))
    assert (jvp.property, vjp.property) == ("jvp", "vjp")
    for evidence in (jvp, vjp):
        assert evidence.oracle == "prime field"
        assert evidence.status is Status.PROVED
        assert 0 < evidence.bound <= 1e-15


@pytest.mark.parametrize("name", TRANSCENDENTAL)
def test_any_other_rule_agrees_in_balls(name: str) -> None:
    for evidence in prove(rule(name)):
        assert evidence.oracle == "balls"
        assert evidence.status is Status.VERIFIED
        assert evidence.worst_error < 1e-50


@pytest.mark.parametrize("name", ["eigh", "svd", "eig", "spd_power"])
def test_a_rule_without_exact_form_says_why(name: str) -> None:
    (evidence,) = prove(rule(name))
    assert evidence.status is Status.VACUOUS
    assert "no exact form" in evidence.note


def once(x: Any, by: Any) -> Any:
    """The last entry but one changed by a factor."""
    entry = np.zeros(x.shape, dtype=int)
    entry.flat[max(x.size - 2, 0)] = 1
    return x * (1 + (by - 1) * x.constant(entry))


def beside_the_diagonal(x: Any) -> Any:
    """Every entry off the diagonal changed in the twelfth digit."""
    return x * (1 + Fraction(1, 10**12) * x.constant(1 - np.eye(*x.shape, dtype=int)))


def transposed(x: Any) -> Any:
    return x.mT if x.ndim == 2 and x.shape[0] == x.shape[1] else -x


WRONG: dict[str, Callable[[Any], Any]] = {
    "in the twelfth digit": lambda x: x * (1 + 1e-12),
    "in one entry": lambda x: once(x, Fraction(10**9 + 1, 10**9)),
    "one entry lost": lambda x: once(x, 0),
    "sign": lambda x: -x,
    "transposed": transposed,
    "constant added": lambda x: x + Fraction(1, 10**10),
    "off the diagonal": lambda x: beside_the_diagonal(x) if x.ndim == 2 and min(x.shape) > 1 else x * 3,
}


def broken(name: str, word: str, change: Callable[[Any], Any]) -> Claim:
    """A catalogue rule whose jvp or vjp is changed in its first array."""
    right = rule(name)

    def function(*inputs: Any) -> Linearization[Any]:
        at = right.function(*inputs)

        def answer(*arguments: Any) -> Any:
            first, *rest = array.parts(getattr(at, word)(*arguments))
            return (change(first), *rest)

        return Linearization(at.value, **{"jvp": at.jvp, "vjp": at.vjp, word: answer})

    return Claim(function, right.domains, name)


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("word", ["jvp", "vjp"])
@pytest.mark.parametrize("name", RATIONAL + TRANSCENDENTAL)
def test_every_wrong_version_is_refuted(name: str, word: str, change: Callable[[Any], Any]) -> None:
    if change is transposed and name in {"logdet", "gaussian_log_density", "trace_inverse_product", "cholesky"} and word == "vjp":
        pytest.skip("the gradient is symmetric")
    (evidence,) = prove(broken(name, word, change))
    assert evidence.status is Status.REFUTED
    assert evidence.property == word
    assert f"{name}.{word} is wrong" in evidence.note


def test_a_refutation_names_the_input_and_the_sizes() -> None:
    def wrong(A: Any, B: Any) -> Linearization[Any]:
        return Linearization(A @ B, lambda dA, dB: dA @ B + 2 * A @ dB, lambda Z: (Z @ B.mT, A.mT @ Z))

    (evidence,) = prove(Claim(wrong, {"A": d.real("n p"), "B": d.real("p m")}, "matmul"))
    assert evidence.note.startswith("matmul.jvp is wrong with respect to B at n = 2, p = 3, m = 4:")


def test_a_value_that_is_another_function_is_refuted() -> None:
    @dataclass(frozen=True)
    class Other(Claim):
        @property
        def value(self) -> Callable[..., Any]:
            return lambda x: x * x + 1

    wrong = Other(lambda x: Linearization(x * x, lambda dx: 2 * x * dx, lambda y: 2 * x * y), {"x": d.real("n")}, "square")
    (evidence,) = prove(wrong)
    assert (evidence.property, evidence.status) == ("value", Status.REFUTED)


def test_what_double_precision_cannot_show_is_noticed_but_no_refutation() -> None:
    """An approximation good to double precision (a series, a Padé approximant) is not wrong; nor is it verified."""
    for change in (lambda x: x * (1 + Fraction(1, 10**25)), lambda x: x * (1 + Fraction(1, 10**16))):
        found = prove(broken("softmax", "vjp", change))
        assert [e.status for e in found] == [Status.VERIFIED, Status.INCONCLUSIVE]
        assert "digits of 30" in found[1].note
    assert prove(broken("softmax", "vjp", lambda x: x * (1 + Fraction(1, 10**14))))[0].status is Status.REFUTED


def test_a_wrong_constant_is_refuted_and_a_rounded_one_is_not() -> None:
    def gelu_with(root: float) -> Claim:
        def function(z: Any) -> Linearization[Any]:
            c = array.erfc(-z / math.sqrt(2)) / 2

            def jvp(dz: Any) -> Any:
                return (c + z * array.exp(-z * z / 2) / root) * dz

            return Linearization(z * c, jvp, jvp)

        return Claim(function, {"z": d.real("n")}, "gelu")

    assert prove(gelu_with(math.sqrt(2 * math.pi)))[0].status is Status.VERIFIED
    assert prove(gelu_with(math.sqrt(2) * math.sqrt(math.pi)))[0].status is Status.VERIFIED
    assert prove(gelu_with(math.sqrt(2 * math.pi) * (1 + 1e-13)))[0].status is Status.REFUTED


def test_the_sign_of_a_root_never_refutes_a_right_rule() -> None:
    """√(u²) = |u|: in a prime field it has the wrong sign at half of the points, so that balls must decide."""

    def shrunk(x: Any) -> Linearization[Any]:
        u = x + 10
        return Linearization(array.sqrt(u * u), lambda dx: dx, lambda y: y)

    for seed in range(10):
        found = prove(Claim(shrunk, {"x": d.real("n")}), seed=seed)
        assert [(e.oracle, e.status) for e in found] == [("balls", Status.VERIFIED)] * 2


def test_branches_are_not_proved_in_a_prime_field_where_there_is_no_order() -> None:
    def wrong_left(x: Any) -> Linearization[Any]:
        slope = array.where(x > 0, array.ones_like(x), 1 + Fraction(1, 10**9) * array.ones_like(x))
        return Linearization(x + array.zeros_like(x), lambda dx: slope * dx, lambda y: slope * y)

    assert {e.status for e in prove(Claim(wrong_left, {"x": d.real("n")}))} == {Status.REFUTED}


def raises(*_: Any) -> Any:
    raise RuntimeError("no luck\nat all")


@pytest.mark.parametrize(
    ("function", "status"),
    [
        (raises, Status.VACUOUS),
        (lambda x: Linearization(x, raises, lambda y: y), Status.VACUOUS),
        (lambda x: Linearization(x, lambda dx: (dx, dx), lambda y: y), Status.VACUOUS),
        (lambda x: Linearization(x, lambda dx: "dx", lambda y: y), Status.VACUOUS),
        (lambda x: Linearization(np.sin(x), lambda dx: dx, lambda y: y), Status.VACUOUS),
        (lambda x: Linearization(x, lambda dx: dx[None], lambda y: y), Status.REFUTED),
        (lambda x: Linearization(x, lambda dx: dx, lambda y: y[:1, None]), Status.REFUTED),
        (lambda x: Linearization(x, lambda dx: 0 * dx, lambda y: 0.0 * y), Status.REFUTED),
        (lambda x: Linearization(array.total(x), lambda dx: 0, lambda y: array.ones_like(x)), Status.REFUTED),
        (lambda x: Linearization(x / (x - x), lambda dx: dx, lambda y: y), Status.INCONCLUSIVE),
        (lambda x: Linearization(array.exp(x) / (x - x), lambda dx: dx, lambda y: y), Status.INCONCLUSIVE),
    ],
)
def test_nothing_is_raised_for_a_bad_rule(function: Any, status: Status) -> None:
    found = prove(Claim(function, {"x": d.real("n>=2")}))
    assert found[0].status is status
    assert found[0].note
    assert "\n" not in found[0].note


def test_balls_that_are_too_wide_are_computed_to_more_bits() -> None:
    """The derivative of x + exp(-150 x²) - x has lost all digits of 256 bits where x is large."""

    def cancelling(x: Any) -> Linearization[Any]:
        y = array.exp(-150 * x * x)

        def slope(v: Any) -> Any:
            return (1 - 300 * x * y) * v - v

        return Linearization(x + y - x, slope, slope)

    found = prove(Claim(cancelling, {"x": d.interval(1, 2, "n")}))
    assert {e.status for e in found} == {Status.VERIFIED}


@pytest.mark.slow
@pytest.mark.parametrize("name", RATIONAL + ROOTED + TRANSCENDENTAL + ["relu", "huber", "maximum", "entry_product", "gplvm_trace_term"])
def test_a_right_rule_is_never_refuted(name: str) -> None:
    assert all(e.status.good for seed in range(30) for e in prove(rule(name), seed=seed))
