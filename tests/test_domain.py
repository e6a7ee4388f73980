"""A domain's points lie in it, its tangents keep them there to first order, and its reach is not beyond the edge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from matcalc import domain as d
from matcalc.domain import Domain

INSIDE: dict[str, tuple[Domain, Any]] = {
    "positive": (d.positive("n"), lambda x: (x > 0).all()),
    "nonzero": (d.nonzero("n"), lambda x: (x != 0).all()),
    "interval": (d.interval(-1, 2, "n"), lambda x: ((x > -1) & (x < 2)).all()),
    "distinct": (d.distinct("n"), lambda x: len(set(x)) == len(x)),
    "simplex": (d.simplex("n>=1"), lambda x: (x > 0).all() and abs(x.sum() - 1) < 1e-12),
    "one_hot": (d.held(d.one_hot("n>=1")), lambda x: max(x) == 1 and x.sum() == 1),
    "signs": (d.held(d.signs("n")), lambda x: (abs(x) == 1).all()),
    "symmetric": (d.symmetric("n"), lambda x: (x == x.T).all()),
    "simple_spectrum": (d.simple_spectrum("n"), lambda x: np.diff(np.linalg.eigvalsh(x)).min(initial=1) > 1e-6),
    "positive_definite": (d.positive_definite("n"), lambda x: (x == x.T).all() and np.linalg.eigvalsh(x).min() > 0),
    "invertible": (d.invertible("n"), lambda x: abs(np.linalg.det(x)) > 0),
    "lower_triangular": (d.lower_triangular("n"), lambda x: (np.triu(x, 1) == 0).all() and (np.diag(x) > 0).all()),
    "upper_triangular": (d.upper_triangular("n"), lambda x: (np.tril(x, -1) == 0).all() and (np.diag(x) > 0).all()),
    "skew": (d.skew_symmetric("n"), lambda x: (x == -x.T).all()),
    "contraction": (d.contraction("n"), lambda x: np.linalg.norm(x, 2) < 1),
    "tall": (d.tall("m n"), lambda x: np.linalg.matrix_rank(x) == x.shape[1]),
    "orthonormal": (d.orthonormal("m n"), lambda x: np.abs(x.T @ x - np.eye(x.shape[1])).max() < 1e-12),
    "distinct_singular_values": (d.distinct_singular_values("m n"), lambda x: np.diff(np.linalg.svd(x)[1]).max(initial=-1) < -1e-6),
}
each_domain = pytest.mark.parametrize(("domain", "inside"), INSIDE.values(), ids=INSIDE)


def shapes(domain: Domain) -> Any:
    sizes = st.fixed_dictionaries({"m": st.integers(1, 4), "n": st.integers(1, 4)})
    return sizes.filter(domain.admits).map(domain.shape)


def noise(shape: tuple[int, ...]) -> Any:
    return hnp.arrays(np.float64, shape, elements=st.integers(-24, 24).map(lambda k: k / 8))


@each_domain
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_points_lie_inside(domain: Domain, inside: Any, data: Any) -> None:
    """Any noise becomes a point of the domain, at every spread."""
    shape = data.draw(shapes(domain))
    for spread in (1.0, 100.0):
        x = domain.point(data.draw(noise(shape)), spread)
        assert x.shape == shape
        assert inside(x)


@each_domain
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_tangents_are_projections_that_stay_inside(domain: Domain, inside: Any, data: Any) -> None:
    """The tangent is an orthogonal projection of the noise, and within the reach a step along it stays in the domain."""
    shape = data.draw(shapes(domain))
    x, v, w = (data.draw(noise(shape)) for _ in range(3))
    x = domain.point(x)
    t = domain.tangent(x, v)
    assert domain.tangent(x, t) == pytest.approx(t, abs=1e-12)
    assert np.sum(t * (w - domain.tangent(x, w))) == pytest.approx(0, abs=1e-10)
    far = min(domain.reach(x, t), 1.0)
    assert far > 0
    if not (domain.discrete or isinstance(domain, d.Orthonormal)):
        assert inside(x + 0.5 * far * t)
        assert inside(x - 0.5 * far * t)


@each_domain
def test_tangents_of_a_stack_are_the_tangents_of_its_points(domain: Domain, inside: Any) -> None:
    """Leading axes broadcast: many tangents at many points are worked out at once."""
    del inside
    shape, rng = domain.shape({"m": 4, "n": 3}), np.random.default_rng(0)
    points = np.stack([domain.point(rng.standard_normal(shape)) for _ in range(3)])
    noises = rng.standard_normal((3, 2, *shape))
    one_by_one = [[domain.tangent(x, v) for v in row] for x, row in zip(points, noises, strict=True)]
    assert domain.tangent(points[:, None], noises) == pytest.approx(np.array(one_by_one), abs=1e-14)


@pytest.mark.parametrize("make", [d.positive_definite, d.invertible])
def test_the_condition_number_is_the_one_asked_for(make: Any) -> None:
    """A spread of 1e4 gives matrices of condition number 1e4."""
    x = make("n").point(np.random.default_rng(0).standard_normal((4, 4)), 1e4)
    assert np.linalg.cond(x) == pytest.approx(1e4, rel=1e-6)


def test_both_signs_of_the_determinant_occur() -> None:
    """Invertible matrices are drawn from both halves of the group."""
    rng = np.random.default_rng(0)
    signs = {np.sign(np.linalg.det(d.invertible("n").point(rng.standard_normal((3, 3))))) for _ in range(20)}
    assert signs == {-1.0, 1.0}


def test_dimensions_are_read() -> None:
    """Names, least sizes and fixed numbers; anything else is refused in one sentence."""
    domain = d.real("n>=2 3")
    assert domain.shape({"n": 5}) == (5, 3)
    assert domain.admits({"n": 2})
    assert not domain.admits({"n": 1})
    with pytest.raises(ValueError, match="a dimension is a name, a number, or a name with its least size"):
        d.real("n+1")
    with pytest.raises(ValueError, match="low < high"):
        d.interval(1, 0)


def test_held_domains_say_so() -> None:
    """`held` keeps the set and marks the input."""
    assert str(d.held(d.positive("n"))) == "positive vector (n), held"
    assert d.positive("n").latex == r"\mathbb{R}_{>0}^{n}"


def test_an_array_may_be_held() -> None:
    """Arrays of integers are, and others on request; whole numbers are not moved, whatever their type."""
    assert d.near(np.arange(3)).held
    assert not d.near(np.ones(3)).held
    for x in (np.ones(3), np.arange(3), np.array([True, False])):
        domain = d.held(x)
        assert domain.held
        assert domain.discrete
        assert np.array_equal(domain.point(np.ones(x.shape)), x)
    assert not d.held(np.array([0.5])).discrete
    assert not d.near(np.ones(3)).discrete


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: d.held(3), r'held takes a domain such as real\("n"\) or an array, but a int came'),
        (lambda: d.real(3), r'dimensions are words such as "n", "n p" or "3", but 3 came'),  # type: ignore[arg-type]
        (lambda: d.positive_definite("n p"), "a square matrix has a single size such as \"n\", but 'n p' came"),
        (lambda: d.skew_symmetric(""), "a square matrix has a single size such as \"n\", but '' came"),
        (lambda: d.invertible(3), 'dimensions are words such as "n", "n p" or "3", but 3 came'),  # type: ignore[arg-type]
    ],
)
def test_a_domain_that_makes_no_sense_is_refused_in_one_sentence(wrong: Any, sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence) as raised:
        wrong()
    assert "\n" not in str(raised.value)
