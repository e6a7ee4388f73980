"""Every rule of the catalogue holds: beside JAX in batches, and beside finite differences at cases that Hypothesis draws."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matcalc import array
from matcalc.cases import Batch, strategy
from matcalc.catalogue import AnyRule, installed
from matcalc.verify import contradicted, quietly, verify

CATALOGUE = installed()
each_rule = pytest.mark.parametrize("rule", CATALOGUE.rules, ids=lambda rule: rule.name)


def test_the_catalogue_reads_without_a_problem() -> None:
    """Every module of the catalogue imports, and no two rules share a name."""
    assert CATALOGUE.problems == ()
    assert len(CATALOGUE.rules) >= 80


@each_rule
def test_the_rule_is_verified(rule: AnyRule) -> None:
    """All oracles agree with the rule on a batch of cases of every shape."""
    verdict = verify(rule, seed=20_260_101, profile="quick")
    assert verdict.status.good, verdict.reason


@each_rule
@settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_the_rule_holds_wherever_hypothesis_looks(rule: AnyRule, data: Any) -> None:
    """Value, jvp and vjp agree with differences of the value and with each other at small, simple, awkward cases."""
    batch: Batch = data.draw(strategy(rule))
    with quietly():
        assert contradicted(rule, batch, traced=False) == []


HALVING = ["cholesky", *(pytest.param(name, marks=pytest.mark.slow) for name in ("rbf_kernel_sum", "trace_inverse_product"))]


@pytest.mark.parametrize("name", HALVING)
def test_rules_that_halve_large_matrices_hold_there_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No case is as large as the blocks are, so here the blocks are as small as the cases."""
    rule = CATALOGUE[name]
    for module in (array, sys.modules[rule.function.__module__]):
        if hasattr(module, "BLOCK"):
            monkeypatch.setattr(module, "BLOCK", 1)
    verdict = verify(replace(rule), seed=3, profile="quick")  # a new object, which JAX has not compiled yet
    assert verdict.status.good, verdict.reason
