"""`matcalc.check` on a few derivatives of the benchmark: the wrong ones are refuted, the right ones are not."""

from typing import Any

import pytest

import matcalc
from benchmarks import wrong_gradients
from benchmarks.wrong_gradients import PROBLEMS, Problem, Wrong
from matcalc.verdict import Status


def one_of_each_kind() -> list[tuple[Problem, Wrong]]:
    """The first wrong version of each class, of functions that JAX has not to compile."""
    chosen: dict[str, tuple[Problem, Wrong]] = {}
    for problem in PROBLEMS:
        if problem.library == "numpy":
            for wrong in problem.wrong:
                chosen.setdefault(wrong.kind, (problem, wrong))
    return list(chosen.values())


def mostly_slow(cases: list[Any]) -> list[Any]:
    """All of them, but only every twelfth in a quick run."""
    slow = [() if k % 12 == 0 else pytest.mark.slow for k in range(len(cases))]
    return [pytest.param(case, marks=mark) for case, mark in zip(cases, slow, strict=True)]


def test_there_are_enough_wrong_versions_of_enough_functions() -> None:
    assert len(PROBLEMS) >= 32
    assert all(len(problem.wrong) >= 8 for problem in PROBLEMS)
    assert sum(len(problem.wrong) for problem in PROBLEMS) >= 260


def test_every_form_and_both_libraries_are_represented() -> None:
    assert {p.form for p in PROBLEMS} == set(wrong_gradients.FORMS)
    assert {p.library for p in PROBLEMS} == {"numpy", "jax"}


@pytest.mark.slow
def test_the_data_are_what_they_say() -> None:
    assert wrong_gradients.faults() == []


@pytest.mark.parametrize("problem", mostly_slow(PROBLEMS), ids=lambda p: p.name)
def test_a_right_derivative_is_verified(problem: Problem) -> None:
    verdict = matcalc.check(problem.function, *problem.domains, **problem.claim(problem.right))
    assert verdict.status.good, verdict.reason


@pytest.mark.parametrize("pair", mostly_slow(one_of_each_kind()), ids=lambda pair: f"{pair[0].name}: {pair[1].kind}")
def test_a_wrong_derivative_is_refuted(pair: tuple[Problem, Wrong]) -> None:
    problem, wrong = pair
    verdict = matcalc.check(problem.function, *problem.domains, **problem.claim(wrong.make()))
    assert verdict.status is Status.REFUTED, wrong.note
