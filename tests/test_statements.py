"""The displayed equations of rules are executed: wrong ones are found, and hardly any cannot be run."""

import re
from dataclasses import replace
from functools import wraps
from types import FunctionType
from typing import Any

import pytest
from rule_files import HEAD, a_rule

from matcalc.catalogue import AnyRule, load
from matcalc.session import load as installed
from matcalc.statements import equations, execute, symbol
from matcalc.verdict import Status
from matcalc.verify import verify

RULES = list(installed([]).rules)
NOT_EXECUTABLE = {
    "matrix_exponential": "L(A, E) is defined by a block of a matrix exponential, not by a formula",
    "sorted_entries": "P is said to be the permutation that sorts, not given by a formula",
}


def restated(rule: AnyRule, change: Any) -> AnyRule:
    """The same rule with another statement."""
    function: Any = rule.function
    copy = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    wraps(function)(copy)
    copy.__doc__ = re.sub(r"\$\$(.+?)\$\$", lambda m: f"$${change(m[1])}$$", function.__doc__, flags=re.DOTALL)
    return replace(rule, function=copy)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)
def test_the_catalogue_states_what_its_code_does(rule: AnyRule) -> None:
    """Every equation agrees with the code; only the rules that are listed have one that cannot be executed."""
    found = execute(rule)
    assert len(found) >= 3
    assert not [s.tex for s in found if s.status is Status.REFUTED]
    silent = [f"{s.tex}: {s.note}" for s in found if s.status is Status.VACUOUS]
    assert bool(silent) == (rule.name in NOT_EXECUTABLE), silent


def test_at_least_95_percent_of_all_statements_are_executable() -> None:
    """Counted over the whole catalogue, with every equation that is printed."""
    printed = [len(list(equations(rule.equations))) for rule in RULES]
    silent = sum(s.status is Status.VACUOUS for rule in RULES if rule.name in NOT_EXECUTABLE for s in execute(rule))
    assert sum(printed) > 800
    assert silent <= 0.05 * sum(printed)


@pytest.mark.parametrize("rule", [r for r in RULES if r.name not in NOT_EXECUTABLE], ids=lambda r: r.name)
def test_a_doubled_adjoint_is_found(rule: AnyRule) -> None:
    """With a factor 2 before the right side of every equation for the adjoint of an input, the statement is refuted."""
    inputs = {f"{name}_bar".replace("_", "") for name in rule.differentiated}

    def doubled(tex: str) -> str:
        sides = [(e, symbol(e.left).replace("_", "") in inputs) for e in equations([tex])]
        return r", \quad ".join(f"{e.left} = 2 ({e.right})" if adjoint else e.tex for e, adjoint in sides)

    wrong = restated(rule, doubled)
    if wrong.equations == rule.equations:
        pytest.skip("its adjoints are given by other equations than X-bar = ...")
    assert any(s.status is Status.REFUTED for s in execute(wrong))


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("matmul", r"\bar Z W^\top", r"W^\top \bar Z"),
        ("matmul", r"X^\top \bar Z", r"X \bar Z"),
        ("inverse", r"-X^{-\top} \bar Z X^{-\top}", r"-X^{-1} \bar Z X^{-1}"),
        ("logdet", r"\operatorname{tr}(K^{-1}\,dK)", r"\operatorname{tr}(K\,dK)"),
        ("log_abs_det", r"X^{-\top}", r"X^{-1}"),
        ("eigh", r"\frac{1}{\lambda_j - \lambda_i}", r"\frac{1}{\lambda_i - \lambda_j}"),
        ("svd", r"s_j^2 - s_i^2", r"s_j^2 + s_i^2"),
        ("conv1d", r"\bar y_{i-j+1}", r"\bar y_{i+j-1}"),
        ("entry_product", r"\prod_{j \ne i} x_j", r"\sum_{j \ne i} x_j"),
        ("cholesky", r"\tfrac12 I \odot X", r"I \odot X"),
        ("linear_map", r"\delta_{ij}\,x_k", r"\delta_{ik}\,x_j"),
        ("linear_map", r"\frac{\partial y}{\partial x} = W", r"\frac{\partial y}{\partial x} = 2 W"),
        ("matrix_polynomial", r"c_3 X^3", r"c_2 X^3"),
        ("logsumexp", r"\log(\mathbf 1^\top \exp(x))", r"\mathbf 1^\top \log(\exp(x))"),
        ("spectral_norm", r"A v = f u", r"A v = 2 f u"),
        ("sylvester_solve", r"A X + X B = C", r"A X - X B = C"),
    ],
)
def test_a_misprint_is_found(name: str, right: str, wrong: str) -> None:
    """One misprint in one equation, of the kinds that are met in print."""
    rule = next(r for r in RULES if r.name == name)
    misprinted = restated(rule, lambda tex: tex.replace(right, wrong))
    assert misprinted.equations != rule.equations
    found = execute(misprinted)
    assert any(s.status is Status.REFUTED or (s.status is Status.VACUOUS and s.note) for s in found)
    if name != "matmul":  # there the wrong product does not even fit
        assert any(s.status is Status.REFUTED for s in found)


@pytest.mark.parametrize(
    ("statement", "note"),
    [
        (r"$$ s = x^\top y $$", "y is not known"),
        (r"$$ s = \frobnicate{x} $$", "frobnicate"),
        (r"$$ \text{nothing} $$", "there is no equals sign in it"),
        (r"$$ s = x^\top x^\top $$", "inner dimensions differ"),
    ],
)
def test_what_cannot_be_executed_is_said_to_be_so(tmp_path: Any, statement: str, note: str) -> None:
    """One sentence names the reason; the rule itself is judged all the same."""
    path = tmp_path / "stated.py"
    path.write_text(HEAD + a_rule("stated", statement=statement))
    (only,) = execute(load([str(path)]).rules[0])
    assert only.status is Status.VACUOUS
    assert note in only.note


def test_a_false_statement_refutes_its_rule(tmp_path: Any) -> None:
    """Right code under a wrong formula is not verified, and the sentence shows the formula."""
    path = tmp_path / "stated.py"
    path.write_text(HEAD + a_rule("stated", statement=r"$$ s = x^\top x $$ $$ ds = x^\top dx $$"))
    verdict = verify(load([str(path)]).rules[0], seed=1, profile="quick")
    assert verdict.status is Status.REFUTED
    assert r"the printed equation ds = x^\top dx does not hold for its code" in verdict.reason
    assert [s.status for s in verdict.statements] == [Status.VERIFIED, Status.REFUTED]


@pytest.mark.parametrize(
    ("tex", "name"),
    [
        (r"\bar W_1", "W_1_bar"),
        (r"d\mu_0", "dmu_0"),
        ("dX", "dX"),
        (r"\bar\ell", "ell_bar"),
        (r"x^\top x", ""),
        (r"F_{ij}", "F_ij"),
        ("d", "d"),
    ],
)
def test_a_symbol_is_named(tex: str, name: str) -> None:
    """As the rest of the language names it."""
    assert symbol(tex) == name
