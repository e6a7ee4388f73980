"""The oracle that chooses factors first: right rules pass it at every seed, wrong ones do not, clustered spectra included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from matcalc_rules.factorizations import eigh, qr, svd
from matcalc_rules.matrix_functions import symmetric_exponential

from matcalc.array import fix_signs
from matcalc.catalogue import AnyRule, installed
from matcalc.domain import held, lower_triangular, real
from matcalc.factors import examine, recover
from matcalc.rule import Linearization, Rule, built_from, rule
from matcalc.source import GILES
from matcalc.verdict import Status


@lru_cache(maxsize=1)
def covered() -> dict[str, AnyRule]:
    return {rule_.name: rule_ for rule_ in installed().rules if rule_.built}


COVERED = [
    "cholesky",
    "lu",
    "qr",
    "eigenvalues_symmetric",
    "eigh",
    "eigenvalues_real",
    "eig",
    "singular_values",
    "svd",
    "polar_factor",
    "nuclear_norm",
    "inverse",
    "linear_solve",
    "spd_solve",
    "triangular_solve",
    "inverse_quadratic",
    "inverse_quadratic_general",
    "trace_inverse_quadratic",
    "trace_inverse_quadratic_general",
    "inverse_bilinear_form",
    "pseudo_inverse",
    "least_squares_solution",
    "schur_complement",
    "sylvester_solve",
    "matrix_exponential",
    "trace_exponential",
    "symmetric_exponential",
    "spd_logarithm",
    "spd_square_root",
    "spd_inverse_square_root",
    "spd_power",
]
COMPLETE = {"cholesky", "lu", "qr", "eigh", "eig", "svd", "spd_square_root"}  # they return all of their factors


def refuted(subject: AnyRule, seed: int = 3) -> set[str]:
    """The properties that fail."""
    return {e.property for e in recover(subject, seed=seed) if e.status is Status.REFUTED}


# --- right rules ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COVERED)
def test_a_right_rule_gives_back_its_factors(name: str) -> None:
    """Nothing is refuted, nearly every case can be judged, and the errors stay far below the tolerance."""
    for seed in (0, 1):
        evidence = {e.property: e for e in recover(covered()[name], seed=seed)}
        assert set(evidence) == {"value", "jvp", "vjp"} | ({"gauge"} if name in COMPLETE else set())
        for e in evidence.values():
            assert e.status is Status.VERIFIED, e.note
            assert e.margin < 0.5
            assert e.skipped <= e.cases / 3


def test_the_list_of_covered_rules_is_complete() -> None:
    """Whatever is declared in the catalogue is tested here."""
    assert sorted(COVERED) == sorted(covered())


def test_a_rule_without_factors_has_no_evidence() -> None:
    """Where nothing is declared nothing is claimed."""
    assert recover(installed()["softmax"], seed=0) == []


def test_the_census_says_which_points_were_looked_at() -> None:
    """Clustered and graded spectra are among them, and they could be judged."""
    census = {line.kind: line for line in examine(eigh, seed=0).census}
    assert census["lam: entries 1e-8 apart"].judged == census["lam: entries 1e-8 apart"].cases == 1
    assert census["generic factors"].cases >= 6
    assert {"R: condition 1e4", "R: condition 1e8"} <= {line.kind for line in examine(qr, seed=0).census}


def test_the_same_seed_gives_the_same_evidence() -> None:
    """A run can be repeated."""
    assert recover(svd, seed=5) == recover(svd, seed=5)
    assert recover(svd, seed=5) != recover(svd, seed=6)


# --- wrong rules ---------------------------------------------------------------------------------------------------------------

Maps = Callable[..., Any]


def wrong(name: str, *, value: Maps | None = None, jvp: Maps | None = None, vjp: Maps | None = None) -> AnyRule:
    """A covered rule with another value, jvp or vjp; each takes the inputs and the right linearization."""
    right = covered()[name]

    def function(*inputs: Any) -> Linearization[Any]:
        at = right.function(*inputs)
        return Linearization(
            at.value if value is None else value(at, *inputs),
            at.jvp if jvp is None else jvp(at, *inputs),
            at.vjp if vjp is None else vjp(at, *inputs),
        )

    return standing_in(right, function)


def standing_in(right: AnyRule, function: Callable[..., Linearization[Any]]) -> AnyRule:
    """Another function under the rule's name, domains and factors."""
    other = object.__new__(Rule)
    other.__dict__.update({**right.__dict__, "function": function})
    function.__name__ = right.name
    return other


def half(X: Any) -> Any:
    return np.tril(X) - np.diag(np.diag(X)) / 2


def cholesky_vjp(of: Callable[[Any], Any]) -> Maps:
    """L⁻ᵀ of(tril of Lᵀ L̄) L⁻¹."""

    def vjp(at: Any, _K: Any) -> Maps:
        inverse = np.linalg.inv(at.value)
        return lambda L_bar: inverse.T @ of(at.value.T @ L_bar) @ inverse

    return vjp


def gaps(x: Any) -> Any:
    """1 / (x_j - x_i), zeros on the diagonal."""
    n = len(x)
    return (1 - np.eye(n)) / (x - x[:, None] + np.eye(n))


def eigh_maps(F: Callable[[Any], Any]) -> dict[str, Maps]:
    """Both maps of eigh, with another F."""

    def jvp(at: Any, _S: Any) -> Maps:
        lam, V = at.value

        def run(dS: Any) -> Any:
            X = V.T @ dS @ V
            return type(at.value)(np.diag(X).copy(), V @ (F(lam) * X))

        return run

    def vjp(at: Any, _S: Any) -> Maps:
        lam, V = at.value
        return lambda lam_bar, V_bar: V @ (np.diag(lam_bar) + F(lam) * (V.T @ V_bar)) @ V.T

    return {"jvp": jvp, "vjp": vjp}


def qr_jvp_of_solve(at: Any, _A: Any) -> Maps:
    """QR as if Q were held: dR = Qᵀ dA is no triangle."""
    Q, _ = at.value
    return lambda dA: type(at.value)(at.jvp(dA).Q, Q.T @ dA)


def svd_without_complements(at: Any, _A: Any) -> Maps:
    U, s, Vt = at.value
    V = Vt.T

    def vjp(U_bar: Any, s_bar: Any, Vt_bar: Any) -> Any:
        F, UU, VV = gaps(s * s), U.T @ U_bar, V.T @ Vt_bar.T
        return (U @ (np.diag(s_bar) + (F * (UU - UU.T)) * s + s[:, None] * (F * (VV - VV.T)))) @ Vt

    return vjp


WRONG: dict[str, tuple[str, dict[str, Maps]]] = {
    "cholesky without the half on the diagonal": ("cholesky", {"vjp": cholesky_vjp(lambda P: (np.tril(P) + np.tril(P).T) / 2)}),
    "cholesky halved (Zygote 230)": ("cholesky", {"vjp": lambda at, _K: lambda L_bar: at.vjp(L_bar) / 2}),
    "cholesky of the wrong triangle": ("cholesky", {"vjp": cholesky_vjp(lambda P: (half(P.T) + half(P.T).T) / 2)}),
    "cholesky tangent without the half": (
        "cholesky",
        {"jvp": lambda at, _K: lambda dK: at.value @ np.tril(np.linalg.solve(at.value, np.linalg.solve(at.value, dK).T).T)},
    ),
    "qr with a full tangent of R": ("qr", {"jvp": qr_jvp_of_solve}),
    "qr without the tangent of R": ("qr", {"jvp": lambda at, _A: lambda dA: at.jvp(dA)._replace(R=0 * at.value.R)}),
    "lu with L and U exchanged": ("lu", {"vjp": lambda at, _A: lambda L_bar, U_bar: at.vjp(U_bar, L_bar)}),
    "eigh with F of the other sign": ("eigh", eigh_maps(lambda lam: -gaps(lam))),
    "eigh with F twice": ("eigh", eigh_maps(lambda lam: 2 * gaps(lam))),
    "eigh with ones on the diagonal of F": ("eigh", eigh_maps(lambda lam: gaps(lam) + np.eye(len(lam)))),
    "eigh with signs as they come": ("eigh", {"value": lambda at, S: type(at.value)(at.value.lam, np.linalg.eigh(S)[1])}),
    "svd without the terms of other shapes": ("svd", {"vjp": svd_without_complements}),
    "square root as 1/2 K^(-1/2)": ("spd_square_root", {"vjp": lambda at, _K: lambda S_bar: np.linalg.inv(at.value) @ S_bar / 2}),
    "polar factor without its complement": (
        "polar_factor",
        {"vjp": lambda at, _A: lambda W_bar: at.value @ at.value.T @ at.vjp(W_bar)},
    ),
    "sylvester with A and B exchanged": (
        "sylvester_solve",
        {"vjp": lambda at, A, B, C: lambda X_bar: at.vjp(X_bar)[1::-1] + at.vjp(X_bar)[2:] if len(A) == len(B) else at.vjp(X_bar)},
    ),
    "inverse with the jvp in the place of the vjp": ("inverse", {"vjp": lambda at, _X: at.jvp}),
    "pseudo-inverse as an inverse": ("pseudo_inverse", {"jvp": lambda at, _A: lambda dA: -at.value @ dA @ at.value}),
    "least squares without its residual": (
        "least_squares_solution",
        {"jvp": lambda at, A, B: lambda dA, dB: np.linalg.pinv(A) @ (dB - dA @ at.value)},
    ),
    "exponential as e^A dA": ("matrix_exponential", {"jvp": lambda at, _A: lambda dA: at.value @ dA}),
    "exponential that forgets to transpose": ("matrix_exponential", {"vjp": lambda at, _A: at.jvp}),
    "power with its logarithm missing": ("spd_power", {"jvp": lambda at, K, p: lambda dK, dp: at.jvp(dK, 0 * dp)}),
    "eigenvectors of free length": (
        "eig",
        {
            "jvp": lambda at, A: (
                lambda dA: at.jvp(dA)._replace(V=at.value.V @ (gaps(at.value.lam) * np.linalg.solve(at.value.V, dA @ at.value.V)))
            )
        },
    ),
    "a value of another shape": ("singular_values", {"value": lambda at, _A: at.value[:, None]}),
    "a rule that raises": ("inverse", {"value": lambda at, X: np.linalg.cholesky(X)}),
    "nan where the spectrum is close": (
        "svd",
        {"vjp": lambda at, _A: lambda *bars: at.vjp(*bars) / (np.diff(at.value.s).max(initial=-1) < -1e-6)},
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_rule_is_refuted(mistake: str) -> None:
    """Each known mistake in a factorisation is refuted, in a sentence that names the rule and the place."""
    name, maps = WRONG[mistake]
    found = [e for e in recover(wrong(name, **maps), seed=3) if e.status is Status.REFUTED]
    assert found
    for e in found:
        assert name in e.note
        assert " at " in e.note


@pytest.mark.parametrize("name", COVERED)
@pytest.mark.parametrize("which", ["jvp", "vjp"])
def test_a_relative_error_of_1e_9_is_refuted(name: str, which: str) -> None:
    """At good conditioning the tolerance is far below that."""

    def off(at: Any, *_: Any) -> Maps:
        def run(*arrays: Any) -> Any:
            right = getattr(at, which)(*arrays)
            if not isinstance(right, tuple):
                return right * (1 + 1e-9)
            changed = [x * (1 + 1e-9) for x in right]
            return type(right)(*changed) if hasattr(right, "_fields") else tuple(changed)

        return run

    assert which in refuted(wrong(name, **{which: off}))


def zero_where_close(x: Any) -> Any:
    F = gaps(x)
    return np.where(np.abs(F) > 1.01e4, 0.0, F)


def clamped(x: Any) -> Any:
    """1 / gap as people make it finite: gap / (gap² + ε)."""
    gap = x - x[:, None]
    return gap / (gap**2 + 1e-12)


@pytest.mark.parametrize("F", [zero_where_close, clamped])
def test_a_rule_that_is_wrong_only_where_eigenvalues_are_close_is_refuted(F: Callable[[Any], Any]) -> None:
    """Zeroing or clamping 1 / (λⱼ - λᵢ) is seen in what does not depend on the choice of eigenvectors."""
    for word, maps in eigh_maps(F).items():
        assert "gauge" in refuted(wrong("eigh", **{word: maps}))


def test_a_function_of_a_matrix_that_is_wrong_only_where_eigenvalues_are_close_is_refuted() -> None:
    """Divided differences that vanish in a cluster are refuted, in both maps."""

    def in_basis(_at: Any, S: Any) -> Maps:
        lam, V = np.linalg.eigh(S)
        gap = lam[:, None] - lam
        F = np.where(np.abs(gap) > 9e-5, np.subtract.outer(np.exp(lam), np.exp(lam)) * -gaps(lam), np.diag(np.exp(lam)))
        return lambda E: V @ (F * (V.T @ E @ V)) @ V.T

    assert "jvp" in refuted(wrong("symmetric_exponential", jvp=in_basis))
    assert "vjp" in refuted(wrong("symmetric_exponential", vjp=in_basis))


# --- gauge ---------------------------------------------------------------------------------------------------------------------


def close_pair(gap: float, seed: int = 0) -> tuple[Any, Any]:
    """A symmetric matrix with two eigenvalues a gap apart, and a symmetric weight."""
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    W = rng.standard_normal((5, 5))
    S = (Q * np.array([-1.0, 0.5, 0.5 + gap, 1.5, 2.0])) @ Q.T
    return (S + S.T) / 2, W + W.T


def function_bars(S: Any, W: Any, f: Any, df: Any) -> tuple[Any, Any]:
    """The cotangents of tr(W V f(Λ) Vᵀ) at the eigenvalues and eigenvectors that the rule returns."""
    lam, V = eigh(S)
    return np.diag(V.T @ W @ V) * df(lam), 2 * (W @ V) * f(lam)


def symmetric(X: Any) -> Any:
    return (X + X.T) / 2


def test_a_loss_that_depends_on_no_choice_of_eigenvectors_has_the_right_gradient_at_a_cluster() -> None:
    """tr(W exp(S)) through eigh is tr(W exp(S)) by divided differences, at a gap of 1e-8."""
    S, W = close_pair(1e-8)
    through = symmetric(eigh.vjp(S, *function_bars(S, W, np.exp, np.exp)))
    direct = symmetric_exponential.vjp(S, W)
    assert np.linalg.norm(through - direct) < 1e-6 * np.linalg.norm(direct)


def test_the_projector_on_a_cluster_has_the_right_gradient() -> None:
    """tr(W V₁ V₁ᵀ), V₁ the eigenvectors of a close pair, is smooth: its gradient divides by the distance to the others only."""
    S, W = close_pair(1e-8)
    lam, V = eigh(S)
    inside = np.array([0.0, 1.0, 1.0, 0.0, 0.0])
    through = symmetric(eigh.vjp(S, 0 * lam, 2 * (W @ V) * inside))
    F = np.where(inside[:, None] == inside, 0.0, (inside - inside[:, None]) * gaps(lam))
    direct = V @ (F * (V.T @ W @ V)) @ V.T
    assert np.linalg.norm(through - direct) < 1e-6 * np.linalg.norm(direct)


def test_such_a_gradient_does_not_depend_on_the_basis_that_was_chosen() -> None:
    """Rounding turns the eigenvectors of a very close pair at will; the gradient of an invariant loss stays, any other jumps."""
    S, W = close_pair(1e-13)
    other = S + 3e-14 * np.ones((5, 5))
    assert np.linalg.norm(eigh(S).V - eigh(other).V) > 0.1
    invariant = [symmetric(eigh.vjp(x, *function_bars(x, W, np.exp, np.exp))) for x in (S, other)]
    dependent = [symmetric(eigh.vjp(x, 0 * eigh(x).lam, W)) for x in (S, other)]
    assert np.linalg.norm(invariant[0] - invariant[1]) < 0.05 * np.linalg.norm(invariant[0])
    assert np.linalg.norm(dependent[0] - dependent[1]) > 0.5 * np.linalg.norm(dependent[0])


def test_signs_are_the_declared_ones() -> None:
    """The rule's eigenvectors have the signs that the declaration fixes, whatever LAPACK returns."""
    S, _ = close_pair(0.1)
    assert np.all(fix_signs(eigh(S).V) == 1)


# --- declarations --------------------------------------------------------------------------------------------------------------


def double(x: Any) -> Linearization[Any]:
    """Twice a vector.

    $$ y = 2 x $$
    """
    return Linearization(2 * x, lambda dx: 2 * dx, lambda y_bar: 2 * y_bar)


def test_a_declaration_that_contradicts_itself_is_refused() -> None:
    """One sentence names the rule, what came and what was expected."""
    right = rule(GILES, x=real("n"))(double)
    with pytest.raises(TypeError, match=r"double is built from \(y\) but gives domains for \(z\)"):
        built_from(lambda y: y / 2, z=real("n"))(right)
    with pytest.raises(ValueError, match="double is built from L with the size m, which none of its inputs has"):
        built_from(lambda L: L[0] / 2, L=lower_triangular("m"))(right)


def test_held_inputs_cannot_be_built() -> None:
    """Their tangents are zero, so they are not free to be chosen."""

    def scaled(x: Any, c: Any) -> Linearization[Any]:
        """A multiple. $$ y = c x $$."""
        return Linearization(c * x, lambda dx: c * dx, lambda y_bar: c * y_bar)

    with pytest.raises(TypeError, match="scaled holds c"):
        built_from(lambda y, c: (y / c, c), y=real("n"), c=real())(rule(GILES, x=real("n"), c=held(real()))(scaled))


def test_a_rule_of_ones_own_is_checked_by_its_factors() -> None:
    """A declaration of one line is enough."""
    right = built_from(lambda y: y / 2, y=real("n"))(rule(GILES, x=real("n"))(double))
    assert {e.property: e.status for e in recover(right, seed=0)} == dict.fromkeys(("value", "jvp", "vjp", "gauge"), Status.VERIFIED)
    off = standing_in(right, lambda x: replace(double(x), vjp=lambda y_bar: 2.0000001 * y_bar))
    assert refuted(off) == {"vjp", "gauge"}
