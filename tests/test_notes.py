"""Documents with claims and examples: what is read, what is found true and false, and the page that shows it."""

import math
import os
import re
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matcalc.derivation import clock
from matcalc.formula.operations import make, number
from matcalc.notes import JudgedClaim, JudgedExample, JudgedNotes, Judgement, NotesError, claiming, judge, read, working
from matcalc.notes.comparing import array, compared, instead
from matcalc.notes.page import notes_page, write_notes
from matcalc.notes.printed import PrintedError, figure, printed
from matcalc.notes.reading import LARGEST, MOST_REPEATS

FOLDER = Path(__file__).parent.parent / "examples" / "notes"
DOCUMENTS = sorted(path.stem for path in FOLDER.glob("*.md"))
T, F, W = Judgement.TRUE, Judgement.FALSE, Judgement.WORKED

# What the table in docs/source-notes.md says. A system without a claim is worked; what "the notes print" beside a true claim has an
# id of its own.
EXPECTED = {
    "n0_backpropagation": {"N0.1": T, "N0.2": T, "N0.3": T, "N0.4": W, "N0.5": T},
    "n1_seminar": {
        "N1.1": W,
        "N1.2": T,
        "N1.3": T,
        "N1.4": T,
        "N1.4 kink": W,
        "N1.5": T,
        "N1.6": T,
        "N1.7 printed": F,
        "N1.7": T,
        "N1.8": T,
        "N1.9": F,
        "N1.9 if the targets sum to 1": T,
        "N1.9 in general": T,
    },
    "n2_exercises": {
        "N2.1": T,
        "N2.2": T,
        "N2.2 printed": F,
        "N2.3": T,
        "N2.4": T,
        "N2.5": F,
        "N2.6": T,
        "N2.7": F,
        "N2.8": F,
        "N2.8 climbs": W,
        "N2.9": T,
        "N2.10": F,
        "N2.10 as a derivative": T,
        "N2.11": F,
        "N2.12": F,
    },
    "n3_recap": {"N3.1": T, "N3.2": T, "N3.3": T},
    "n4_discussion": {
        "N4.1": T,
        "N4.2": W,
        "N4.3": T,
        "N4.4": T,
        "N4.5": T,
        "N4.5 printed": F,
        "N4.5 if D is 1": T,
        "N4.6": T,
        "N4.6 printed": F,
        "N4.7": T,
        "N4.7 printed": F,
        "N4.8": T,
        "N4.9": T,
        "N4.10": T,
    },
}


@cache
def text_of(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


@cache
def judged(name: str) -> JudgedNotes:
    """A document of the examples, judged once."""
    return judge(read(text_of(name)))


def worked(lines: str) -> JudgedExample:
    """An example of these lines."""
    (block,) = judge(read(f"```example\n{lines}\n```\n")).blocks
    assert isinstance(block, JudgedExample)
    return block


def claimed(lines: str) -> JudgedClaim:
    """A claim of these lines."""
    (block,) = judge(read(f"```claim\n{lines}\n```\n")).blocks
    assert isinstance(block, JudgedClaim)
    return block


def value(lines: str) -> Any:
    """What the last line of an example comes to."""
    last = worked(lines).statements[-1]
    assert not last.note, last.note
    return np.asarray(last.value)


def test_explanations_that_are_left_out_are_counted() -> None:
    block = claimed("f: log(det(X))\nwrt: X\nclaim: inv(X)\nX: invertible(n)")
    *told, last = block.explanations
    assert len(told) == claiming.MOST_EXPLANATIONS
    assert re.fullmatch(r"and \d+ more explanations?", last)


# --- the five source documents ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_claim_of_the_source_notes_gets_its_verdict(name: str) -> None:
    """The verdicts are those of the table, claim by claim."""
    assert judged(name).verdicts == EXPECTED[name]


def test_every_row_of_the_table_is_there() -> None:
    """No row of the table was left out, and none was made up."""
    rows = set(
        re.findall(r"^\| (N\d\.\d+) \|", (FOLDER.parent.parent / "docs" / "source-notes.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    mine = {re.match(r"N\d\.\d+", name)[0] for found in EXPECTED.values() for name in found}  # type: ignore[index]
    assert mine == rows
    assert len(rows) == 39


def test_the_errata_are_those_of_the_table() -> None:
    """What is false is found where it stands, with what is right and why."""
    found = {(one.id, one.printed): (one.right, one.note) for name in DOCUMENTS for one in judged(name).errata}
    right = {name: [right for (own, _), (right, _) in found.items() if own == name] for name in {own for own, _ in found}}
    note = {name: [note for (own, _), (_, note) in found.items() if own == name] for name in right}
    assert right["N2.7"] == ["-1/4", "[[0, 0, -1/4], [0, 0, -1/8]]"]
    assert right["N2.8"] == ["[[0, 0, 1/4], [0, 0, 1/8]]"]
    assert note["N2.7"] == note["N2.8"] * 2 == ["the sign is wrong"] * 2
    assert "sign" in note["N2.5"][0]
    assert "sign" in note["N1.7 printed"][0]
    assert right["N2.10"] == ["-0.2046"]
    assert float(right["N2.11"][0]) == pytest.approx(-0.0065625, rel=1e-3)
    W2 = printed(right["N2.12"][0])
    assert W2 is not None
    assert array(W2) == pytest.approx(np.array([[0, 0.00644, -0.45618], [0, 0.00322, -0.22809]]), abs=5e-5)
    assert "q×n" in note["N4.6 printed"][0]
    assert "1/D" in note["N4.5 printed"][0]
    assert "2 times" in note["N4.7 printed"][0]
    assert "add up to 1" in note["N1.9"][0]
    assert len(right["N2.2 printed"]) == 2


def test_no_verdict_is_written_in_a_document() -> None:
    """The convention has no place for one."""
    for name in DOCUMENTS:
        for block in re.findall(r"```(?:claim|example).*?```", text_of(name), re.DOTALL):
            assert not re.search(r"^\s*(verdict|true|false|right|wrong)\b", block, re.MULTILINE)


def test_every_example_is_drawn() -> None:
    """Where there is a formula there is a graph, whose backward steps agree with numbers taken otherwise."""
    for name in DOCUMENTS:
        for block in judged(name).blocks:
            if not isinstance(block, JudgedExample):
                continue
            assert not block.note, block.note
            derived = any("∂" in one.statement.source and one.value is not None for one in block.statements)
            assert block.graphs or not derived
            for graph in block.graphs:
                assert all(step.agrees is not False for step in graph.steps)


def test_derivatives_agree_with_finite_differences() -> None:
    """Every derivative of the five documents was taken twice."""
    errors = [
        line.error
        for name in DOCUMENTS
        for block in judged(name).blocks
        if isinstance(block, JudgedExample)
        for one in block.statements
        for line in one.all()
        if line.error is not None
    ]
    assert len(errors) > 60
    assert max(errors) < 1e-7


@pytest.mark.parametrize(
    ("name", "old", "new", "id_"),
    [
        ("n3_recap", "∂J/∂w2 ?= [-1, 0]", "∂J/∂w2 ?= [1, 0]", "N3.3"),
        ("n3_recap", "?= [[-1, 0], [0, 0]]", "?= [[-1, 0], [0.1, 0]]", "N3.3"),
        ("n3_recap", "claim: -Hᵀ ((t - z)", "claim: Hᵀ ((t - z)", "N3.1"),
        ("n0_backpropagation", "∂y/∂x1 ?= -4", "∂y/∂x1 ?= 2", "N0.3"),
        ("n0_backpropagation", "W3ᵀ ((1 - z3 ⊙ z3)", "W3ᵀ ((1 - z3)", "N0.5"),
        ("n4_discussion", "W x rᵀ + W r xᵀ\n", "W x rᵀ\n", "N4.4"),
        ("n4_discussion", "[[[7, 8, 9], [0, 0, 0]]", "[[[7, 8, 9], [7, 8, 9]]", "N4.10"),
    ],
)
def test_a_corrupted_copy_is_found_out(name: str, old: str, new: str, id_: str) -> None:
    """One thing changed for the worse: that id becomes false, and no other."""
    text = text_of(name)
    assert text.count(old) == 1
    now = judge(read(text.replace(old, new)))
    assert now.verdicts == EXPECTED[name] | {id_: F}
    assert not now.good


def test_a_corrected_copy_is_found_true() -> None:
    """With every printed number replaced by the right one, only the formulas of the exercises stay false."""
    text = text_of("n2_exercises")
    for one in judged("n2_exercises").errata:
        if one.right and not one.right_is_tex:
            head, _, _ = one.printed.partition("?=")
            text = text.replace(one.printed, f"{head}?= {one.right}")
    assert {one.id for one in judge(read(text)).errata} == {"N2.2 printed", "N2.5"}


# --- printed numbers ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "x", "fits"),
    [
        ("0.42", 0.4225, True),
        ("0.42", 0.4251, False),
        ("0.42", 0.41499, False),
        ("0.21", -0.2046, False),
        ("0.21", 0.2062, True),
        ("-0.46", -0.45618, True),
        ("−0.46", -0.45618, True),
        ("1", 1.2, False),
        ("1", 1.0, True),
        ("1.", 1.2, False),
        ("1.0", 1.04, True),
        ("1/3", 1 / 3, True),
        ("1/3", 0.333, False),
        ("½", 0.5, True),
        ("-⅛", -0.125, True),
        ("2.5e-3", 0.00254, True),
        ("2.5e-3", 0.00256, False),
        ("1e3", 1000.0, True),
        (".5", 0.46, True),
        ("0", 1e-12, True),
        ("0", 1e-3, False),
        ("0.5", float("nan"), False),
        ("0.5", float("inf"), False),
    ],
)
def test_a_number_is_true_if_the_value_rounds_to_it(text: str, x: float, fits: bool) -> None:  # noqa: FBT001
    found = figure(text)
    assert found is not None
    assert found.fits(x) is fits


@pytest.mark.parametrize("text", ["", "x", "1/0", "1..2", "--1", "1e999", "0x10", "1_000", "nan", "inf", "1 + 1"])
def test_what_is_no_number(text: str) -> None:
    assert figure(text) is None


@given(st.floats(-1e3, 1e3), st.integers(1, 6))
def test_a_value_fits_what_python_prints_of_it(x: float, digits: int) -> None:
    """A number that is rounded for printing is true, and so is its neighbour never."""
    found = figure(f"{x:.{digits}f}")
    assert found is not None
    assert found.fits(x)
    assert not found.fits(x + 1.01 * 10**-digits)


@settings(deadline=None)
@given(st.integers(2, 3).flatmap(lambda n: st.lists(st.lists(st.integers(-999, 999), min_size=n, max_size=n), min_size=1, max_size=3)))
def test_a_printed_matrix_is_read_back(rows: list[list[int]]) -> None:
    found = printed(str(rows))
    assert found is not None
    assert array(found).tolist() == rows
    assert compared(found, np.array(rows, dtype=float)).right
    assert instead(found, np.array(rows, dtype=float)) == str(rows)


def test_rows_that_are_not_equally_long() -> None:
    with pytest.raises(PrintedError, match=re.escape("the rows of [[1, 2], [3]] are not equally long")):
        printed("[[1, 2], [3]]")
    for formula in ("[1, x]", "[1, 2", "[1,, 2]", "[]x", "x [1]", "[1; 2]"):
        assert printed(formula) is None


def test_what_is_wrong_with_a_matrix_is_said() -> None:
    """Which entries, and whether a transpose, a sign or a factor explains it."""
    one = printed("[[1, 2], [3, 4]]")
    assert one is not None
    assert compared(one, np.array([[1.0, 3.0], [2.0, 4.0]])).note == "it is the transpose"
    assert compared(one, -np.array([[1.0, 2.0], [3.0, 4.0]])).note == "the sign is wrong"
    assert compared(one, np.array([[0.5, 1.0], [1.5, 2.0]])).note == "it is 2 times what it should be"
    assert compared(one, np.array([[1.0, 2.0], [3.0, 5.0]])).wrong == (3,)
    wide = printed("[[1, 2, 3]]")
    assert wide is not None
    assert "it is the transpose" in compared(wide, np.array([[1.0], [2.0], [3.0]])).note
    assert "3 numbers" in compared(printed("[1, 2, 3]") or wide, np.eye(2)).note


# --- examples -----------------------------------------------------------------------------------------------------------------------


def test_a_formula_follows_its_names() -> None:
    """After an update, or another input, everything is as if it had been written anew."""
    assert value("x = 2\ny = x^2\nz = y + 1\nx = 3\nz") == 10
    assert value("x = 2\ny = x^2\nx <- x + 1\n∂y/∂x") == 6


def test_updates_in_a_row_happen_at_once() -> None:
    """The second gradient is taken at the old value of the first weight; a line between them parts them."""
    start = "a = 2; b = 3\nL = a b\n"
    assert value(f"{start}a <- a - ∂L/∂a\nb <- b - ∂L/∂b\n10 a + b") == 10 * (2 - 3) + (3 - 2)
    assert value(f"{start}a <- a - ∂L/∂a\nL\nb <- b - ∂L/∂b\n10 a + b") == 10 * (2 - 3) + (3 - (2 - 3))


def test_repetition_is_the_same_lines_written_often() -> None:
    lines = "w = [1, 2]\nL = wᵀ w\n"
    step = "w <- w - 0.1 ∂L/∂w\nL\n"
    indented = "\n".join("  " + line for line in step.splitlines())
    assert value(f"{lines}repeat 5:\n{indented}\nw") == pytest.approx(value(lines + step * 5 + "w"), rel=1e-14)
    block = worked(f"{lines}repeat 5 times:\n{indented}\nw")
    assert [one.statement.kind for one in block.statements[2].all()] == ["repeat", "update", "look"]


def test_partial_and_total_derivatives_differ_at_a_fan_out() -> None:
    lines = "x = 3\ny = x^2\nz = x y\n"
    assert value(lines + "edge x -> z") == 9
    assert value(lines + "∂z/∂x") == 27
    assert value(lines + "∂z/∂y") == 3


@pytest.mark.parametrize(
    "spelling", ["∂L/∂W", "dL/dW", "d L / d W", r"\frac{\partial L}{\partial W}", r"\partial L / \partial W", "∂L / ∂W"]
)
def test_a_derivative_is_written_in_many_ways(spelling: str) -> None:
    lines = "W = [[1, 2], [3, 4]]\nx = [1, -1]\nL = ‖W x‖²\n"
    assert value(lines + spelling).tolist() == [[-2, 2], [-2, 2]]
    assert value(lines + f"W - 0.5 {spelling}").tolist() == [[2, 1], [4, 3]]


def test_names_that_begin_with_d_are_names() -> None:
    """Where dL and dW, or d, were given, a quotient of them is a quotient; ∂ is never anything but a derivative."""
    lines = "W = 3\nL = W^2\n"
    assert value(lines + "dL/dW") == 6
    assert value(lines + "dL = 8\ndW = 2\ndL/dW") == 4
    assert value(lines + "d = 5\n(d L)/(d W)") == 3
    assert value(lines + "d = 5\n∂L/∂W") == 6
    assert value("qq1 = 5\n" + lines + "qq1 + ∂L/∂W") == 11


def test_derivatives_of_every_shape() -> None:
    """Numbers, gradients, Jacobians, three axes, entries."""
    lines = "W = [[1, 2, 3], [4, 5, 6]]\nx = [1, 2, 3]\nc = 2\nt = c W x\ns = sum(t)\n"
    assert value(lines + "∂s/∂c") == 46
    assert value(lines + "∂t/∂c").tolist() == [[14], [32]]
    assert value(lines + "∂t/∂x").tolist() == [[2, 4, 6], [8, 10, 12]]
    assert value(lines + "∂t/∂W").tolist() == [[[2, 4, 6], [0, 0, 0]], [[0, 0, 0], [2, 4, 6]]]
    assert value(lines + "∂t_2/∂W").tolist() == [[0, 0, 0], [2, 4, 6]]
    assert value(lines + "∂t_2/∂W_{2,3}") == 6
    assert value(lines + "∂s/∂x_1") == 10
    assert value(lines + "W_{2,3} + x_1") == 7


def test_names_are_written_in_many_ways() -> None:
    lines = "W₁ = [[1, 0], [0, 2]]\nδ = [1, 1]\nŷ = W_1 δ\n"
    assert value(lines + "W1 ŷ").tolist() == [[1], [4]]
    assert value(lines + "W_{1} δ").tolist() == [[1], [2]]
    assert value(r"\gamma = 2" + "\nγ + 1") == 3


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("y = x + 1", "x is not declared"),
        ("x = 1\ny ?= 2", "y"),
        ("x = 1\n∂x/∂q", "q"),
        ("x = 1\ny = x\n∂y/∂y ?= 1\nz = 2\n∂z/∂x", "z does not depend on x"),
        ("x = 1\nx = x + 1", "x would be defined by itself; a new value is given by x <- ..."),
        ("x = 1\ny = 2 x\ny <- 3", "y has no value of its own that could be updated"),
        ("x = [1, 2]\nx <- 3", "x is 2×1, but its new value is a number"),
        ("x = [1, 2]\ny = 2 x\nx = [1, 2, 3]", "x cannot become 3×1, since y was made with x as 2×1"),
        ("A = [[1, 2], [3]]", "the rows of [[1, 2], [3]] are not equally long"),
        ("A = [[1, 2], [2, 4]]\ninv(A)", "singular"),
        ("x = 1\ny = 2 x\nedge y -> x", "x has no formula, so no edge leads to it"),
        ("x = 1\ny = 2 x\nz = 3 y\nedge x -> z", "no edge leads from x to z, whose formula does not hold x"),
        ("x = 1\ngraph x", "x has no formula, so there is no graph of it"),
        ("x = [1, 2]\nx_3", "x has 2 rows and 1 columns and so no entry x_3"),
        ("x = 1\ny = x^2\ng = ∂y/∂x\n∂g/∂x", "depend"),
        ("x = 1\nwhat: 3", "“what” is not a key of an example (id, title, says)"),
        ("?= 3", "?= stands between a formula and what is printed for it"),
        ("repeat 3:", "repeat needs the lines that are repeated, indented, below it"),
        (f"x = 1\nrepeat {MOST_REPEATS + 1}:\n  x <- x", "more than the 10000 that are allowed"),
        ("x = 1 +", "ends where"),
        ("x = __import__('os')", ""),
    ],
)
def test_a_line_that_cannot_be_worked_says_why(lines: str, message: str) -> None:
    """In one sentence; and the run goes on."""
    block = worked(lines + "\n1 + 1 ?= 2")
    bad = [one for one in block.statements if one.judgement is Judgement.UNREADABLE]
    assert len(bad) == 1
    assert message in bad[0].note
    assert "\n" not in bad[0].note
    assert block.statements[-1].judgement is T
    assert block.judgement is Judgement.UNREADABLE


def test_a_wrong_derivation_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the derivation in matrix form erred, finite differences would object, and no verdict would rest on it."""
    right = working.adjoint
    monkeypatch.setattr(working, "adjoint", lambda f, x: make("scale", number(2), right(f, x)))
    (*_, last) = worked("x = [1, 2]\nL = ‖x‖²\n∂L/∂x ?= [4, 8]").statements
    assert last.judgement is Judgement.UNREADABLE
    assert "does not agree with finite differences" in last.note


def test_a_kink_is_said() -> None:
    lines = "x = 0\ny = relu(x)\n∂y/∂x"
    (*_, shown) = worked(lines).statements
    assert shown.judgement is W
    assert shown.note == "y has a kink here, so it has no derivative with respect to x"
    (*_, claimed_) = worked(lines + " ?= 1").statements
    assert claimed_.judgement is Judgement.UNDECIDED


def test_infinity_is_no_number() -> None:
    (*_, last) = worked("x = 0\n1 / x ?= 1").statements
    assert last.judgement is F
    assert last.note == "it is not a finite number here"


def test_a_claimed_formula_is_compared_at_the_numbers() -> None:
    lines = "X = [[1, 2], [3, 4], [5, 6]]\nw = [1, 1]\nL = ‖X w‖²\n"
    assert worked(lines + "∂L/∂w ?= 2 Xᵀ X w").judgement is T
    assert worked(lines + "∂L/∂w ?= Xᵀ X w").judgement is F
    assert "transpose" in worked(lines + "Xᵀ ?= X").statements[-1].note


def test_names_made_of_one_another_are_expanded_once() -> None:
    """Each formula uses the two before it: written out, the last would have more parts than there is time for."""
    lines = "f0 = 1\nf1 = 1 + 0 f0\n" + "".join(f"f{k} = f{k - 1} + f{k - 2}\n" for k in range(2, 61))
    assert value(lines + "f60") == 2504730781961
    where = "\n".join(f"where: b{k} = b{k - 1} + b{k - 1}" for k in range(1, 41))
    assert claimed(f"f: b40\nwrt: t\nclaim: 2\nt: real\nwhere: b0 = t + 1\n{where}").judgement is F


def test_too_many_formulas_of_one_another_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they nest too deeply the line is unreadable, and the others are worked all the same."""

    def too_deep(*_: Any) -> Any:
        raise RecursionError

    with monkeypatch.context() as patch:
        patch.setattr(working.Desk, "value", too_deep)
        patch.setattr(working.Desk, "graph", too_deep)
        block = worked("x = 1\ny = x + 1\n")
    assert [one.judgement for one in block.statements] == [W, Judgement.UNREADABLE]
    assert block.statements[1].note == "too many formulas are made of one another"
    assert block.note == "y has no graph: too many formulas are made of one another"


def test_an_example_is_continued() -> None:
    text = "```example\nx = 2\n```\nwords\n\n```example continued\nx + 1 ?= 3\n```\n"
    assert judge(read(text)).good
    (alone,) = judge(read("```example continued\nx + 1 ?= 3\n```\n")).blocks
    assert isinstance(alone, JudgedExample)
    assert alone.example.problem == "there is no example above that could be continued"
    assert alone.judgement is Judgement.UNREADABLE


# --- claims -------------------------------------------------------------------------------------------------------------------------


def test_an_equation_is_a_claim() -> None:
    good = claimed("f: exp(t) / (1 + exp(t))\nequals: 1 / (1 + exp(-t))\nt: real")
    bad = claimed("f: exp(t) / (1 + exp(t))\nequals: 1 / (1 + exp(t))\nt: real")
    assert (good.judgement, bad.judgement) == (T, F)
    assert claimed("f: A Aᵀ + x xᵀ\nequals: x xᵀ + A Aᵀ\nA: real(n, m)\nx: real(n)").judgement is T
    assert claimed("f: A B\nequals: B A\nA: real(n, n)\nB: real(n, n)").judgement is F


def test_a_condition_is_said_by_where() -> None:
    lines = "f: -yᵀ log(softmax(z))\nwrt: z\nclaim: softmax(z) - y\nz: real(n)\n"
    assert claimed(lines + "y: real(n)").judgement is F
    assert claimed(lines + "where: y = t / sum(t)\nt: positive(n)").judgement is T


def test_a_claim_is_like_another() -> None:
    first = "```claim\nid: a\nf: tr(Gᵀ X Y)\nwrt: X\nclaim: G Yᵀ\nX: real(m, n)\nY: real(n, p)\nG: real(m, p)\n```\n\n"
    found = judge(read(first + "```claim\nid: b\nlike: a\nwrt: Y\nclaim: Xᵀ G\n```\n\n```claim\nid: c\nlike: above\nclaim: Yᵀ G\n```\n"))
    assert found.verdicts == {"a": T, "b": T, "c": F}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("wrt: x\nclaim: x\nx: real(n)", "the claim does not say what f is"),
        ("f: xᵀ x\nclaim: x\nx: real(n)", "the claim has no “wrt”; it needs “wrt” and “claim”, or “equals”"),
        ("f: xᵀ x\nwrt: x\nx: real(n)", "the claim has no “claim”; it needs “wrt” and “claim”, or “equals”"),
        ("f: xᵀ x\nwrt: x\nclaim: x\nequals: x\nx: real(n)", "a claim has either “equals” or “wrt” and “claim”"),
        ("f: xᵀ x\nwrt: x\nclaim: x\ncliam: 2 x\nx: real(n)", "“cliam” is not a key of a claim"),
        ("f: xᵀ x\nwrt: x\nclaim: x\nclaim: 2 x\nx: real(n)", "“claim” is given twice"),
        ("f: xᵀ x\nwrt: x\nclaim: x\nnonsense", "line 5 is not of the form “key: value”: nonsense"),
        ("f: xᵀ x\nwrt: x\nclaim: x\nwhere: x + y\nx: real(n)", "“where” defines a name"),
        ("f: xᵀ x\nwrt: x\nclaim: x +\nx: real(n)", "ends where"),
        ("f: xᵀ y\nwrt: x\nclaim: y\nx: real(n)", "y is not declared"),
        ("f: xᵀ x\nwrt: q\nclaim: x\nx: real(n)", "q"),
        ("f: xᵀ x\nwrt: x\nclaim: x\nx: strange(n)", "strange"),
        ("f: xᵀ x\nwrt: x\nclaim: x\nkind: odd\nx: real(n)", "the kind of a claim is one of"),
        ("like: nobody", "there is no claim “nobody” above"),
        ("f: rᵀ r\nwrt: r\nclaim: 2 r\nwhere: r = A x\nA: real(m, n)\nx: real(n)", "r is defined by others"),
    ],
)
def test_a_claim_that_cannot_be_read_says_why(lines: str, message: str) -> None:
    """In one sentence; and the claims after it are judged."""
    found = judge(read(f"```claim\n{lines}\n```\n\n```claim\nf: xᵀ x\nwrt: x\nclaim: 2 x\nx: real(n)\n```\n"))
    first, second = found.blocks
    assert first.judgement is Judgement.UNREADABLE
    assert isinstance(first, JudgedClaim)
    assert message in first.note
    assert "\n" not in first.note
    assert second.judgement is T
    assert not found.good
    assert found.unreadable
    assert not found.errata


@pytest.mark.parametrize("error", [clock.OutOfTimeError("it takes too long"), RecursionError(), MemoryError()])
def test_a_claim_that_takes_too_much_is_undecided(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """It has the time that a claim on the command line has, and the rest of the document is judged."""
    left: list[bool] = []

    def slow(*_: Any) -> Any:
        left.append(math.isfinite(clock._END.get()))
        raise error

    monkeypatch.setattr(claiming, "judge_question", slow)
    found = claimed("f: xᵀ x\nwrt: x\nclaim: 2 x\nx: real(n)")
    assert (found.judgement, found.note, left) == (Judgement.UNDECIDED, "it takes too long, or nests too deeply", [True])


def test_a_fence_that_is_not_closed() -> None:
    """The block says so, whatever it swallowed."""
    for kind in ("claim", "example"):
        (block,) = judge(read(f"# Title\n\n```{kind}\nx = 1\n\nMore text.\n")).blocks
        assert block.judgement is Judgement.UNREADABLE
        note = block.claim.problem if isinstance(block, JudgedClaim) else block.example.problem
        assert note == f"the {kind} that begins in line 3 is not closed; ``` on a line of its own closes it"


def test_a_document_that_is_too_large() -> None:
    with pytest.raises(NotesError, match="more than the 1000000 that are read"):
        read("x" * (LARGEST + 1))


def test_other_fences_and_blocks_in_lists_and_quotes() -> None:
    """Code is code; a block may stand in a list or in a quotation; lines end as they like."""
    text = "```python\nx = 1\n```\n\n- item\n\n  ```example\n  id: a\n  1 + 1 ?= 3\n  ```\n\n> ```example\n> id: b\n> 1 + 1 ?= 2\n> ```\n"
    for ending in ("\n", "\r\n", "\r"):
        found = judge(read(text.replace("\n", ending)))
        assert found.verdicts == {"a": F, "b": T}
        assert notes_page(found).count('class="judged') == 2


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="xyW=?<-[]();:,.0123456789 ∂/d^+*\n{}_$`#\\ᵀ", max_size=80))
def test_no_text_breaks_the_run(text: str) -> None:
    """Whatever stands in a block, the document comes out."""
    found = judge(read(f"```example\n{text}\n"))
    assert "</html>" in notes_page(found)


# --- the page -----------------------------------------------------------------------------------------------------------------------

HOSTILE = """# Notes $x^2$ <script>alert(1)</script>

<script>document.title = "hacked"</script> <img src=x onerror=alert(1)> [link](javascript:alert(1)) [good](https://example.org)
![picture](https://example.org/x.png) ![local](file:///etc/passwd) a price of $5 and of $6, `<b>` and \\$x\\$ and $\\href{javascript:x}{y}$

$$
\\sum_{i=1}^n x_i
= 1
$$

| a | b |
|---|---|
| $x$ | <i>c</i> |

```html
<script>alert(2)</script>
```

```claim
id: <script>alert(3)</script>
f: xᵀ x
wrt: x
claim: 3 x
says: "><img src=x onerror=alert(4)>
x: real(n)
```

```example
id: "><b>
title: <u>title</u> $y$
x = [1, 2]
W = [[1, 2], [3, 4]]
y = ‖W x‖²
∂y/∂W ?= [[10, 20], [22, 45]]
<script> ?= 1
```
"""


def test_nothing_of_the_source_is_obeyed() -> None:
    """HTML is shown, links lead to the web or within the page, images are not loaded."""
    page = notes_page(judge(read(HOSTILE)))
    body = page[page.index("<body>") :].replace("<script>" + page.rpartition("<script>")[2], "")
    assert "<script>" not in body
    assert "onerror=" not in body.replace("onerror=alert(1)&gt;", "").replace("onerror=alert(4)&gt;", "")
    assert 'href="javascript' not in body
    assert "<img" not in body
    assert 'href="file:' not in body
    assert 'href="https://example.org"' in body
    assert "a price of $5 and of $6" in body
    assert 'alttext="\\sum_{i=1}^n x_i&#10;= 1"' in body


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_formula_is_typeset(name: str) -> None:
    """Entries of a matrix that has an index of its own among them."""
    assert "not typeset" not in notes_page(judged(name))


def test_every_place_has_a_name_of_its_own() -> None:
    """Headings, claims and lines that are called alike, and one that is called like the second of two others; also after a loop."""
    text = "# a\n\n# a\n\n# a 2\n\n" + "```example\nid: b\nx = 1\nrepeat 3:\n  x <- x + 1\nid: b 2\nx\n```\n" * 2
    page = notes_page(judge(read(text)))
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert {"s-a", "s-a-2", "s-a-2-2", "n-b", "n-b-5", "n-b-2"} <= set(ids)


def test_the_page_names_what_is_false_and_leads_there(tmp_path: Path) -> None:
    """Every erratum has a link, and every link a place."""
    out = tmp_path / "out.html"
    write_notes(judged("n2_exercises"), out)
    page = out.read_text(encoding="utf-8")
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for one in judged("n2_exercises").errata:
        assert f'href="#{one.anchor}"' in page
        assert one.anchor in ids


def test_the_head_counts_what_the_list_holds() -> None:
    """Every finding, by its kind, so that the number is that of the entries below."""
    claim = "```claim\nid: {}\nf: {}\nwrt: x\nclaim: x\nx: real(n)\n```\n"
    page = notes_page(judge(read("# Notes\n\n" + claim.format(1, "x'*x") + claim.format(2, "2*x'*x") + claim.format(3, "foo(x)"))))
    assert '<a href="#errata">Errata: 1 unreadable, 2 false</a>' in page
    assert page.count('<li class="false"><a') + page.count('<li class="unreadable"><a') == 3


sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed, and pages are tested in a browser")
CHROMIUM = os.environ.get("MATCALC_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
AXE = Path(__file__).parent / "vendor" / "axe.min.js"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser, started once."""
    if CHROMIUM is None:
        pytest.skip("no Chromium was found; put one on the path or name it in MATCALC_CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--no-first-run"])
        yield launched
        launched.close()


def opened(chromium: Any, path: Path, complaints: list[str], **options: Any) -> Any:
    """A page, offline; what it complains about or asks of the network is noted."""
    page = chromium.new_context(offline=True, **options).new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: request.url.startswith(("file:", "data:")) or complaints.append(request.url))
    page.add_init_script(
        "window.violations = [];addEventListener('securitypolicyviolation', e => violations.push(e.violatedDirective + e.blockedURI), true)"
    )
    page.goto(path.as_uri())
    if options.get("java_script_enabled", True):
        complaints.extend(page.evaluate("window.violations"))
    return page


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("hostile", "light"), ("hostile", "dark"), *(pytest.param(name, "light", marks=pytest.mark.slow) for name in DOCUMENTS)],
)
def test_in_a_browser(chromium: Any, tmp_path: Path, name: str, scheme: str) -> None:
    """Quiet, local, accessible, and no wider than the screen, on a phone too."""
    out, complaints = tmp_path / "out.html", list[str]()
    write_notes(judge(read(HOSTILE)) if name == "hostile" else judged(name), out)
    page = opened(chromium, out, complaints, color_scheme=scheme, viewport={"width": 390, "height": 800})
    assert "hacked" not in page.title()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.evaluate(AXE.read_text(encoding="utf-8"))
    result = page.evaluate(
        "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],"
        " resultTypes: ['violations'], preload: false })"
    )
    found = [(one["id"], node["html"][:200], node["failureSummary"]) for one in result["violations"] for node in one["nodes"]]
    assert found == []
    assert complaints == []


def test_an_erratum_is_one_click_away(chromium: Any, tmp_path: Path) -> None:
    """From the list at the top to the line that is wrong, which shows what is right; without script too."""
    out, complaints = tmp_path / "out.html", list[str]()
    write_notes(judged("n2_exercises"), out)
    page = opened(chromium, out, complaints, java_script_enabled=False)
    page.get_by_role("link", name="N2.10", exact=True).first.click()
    line = page.locator("tr:target")
    assert line.is_visible()
    assert "−0.2046" in line.inner_text().replace("-", "−")
    assert line.locator(".pill").inner_text().strip() == "false"
    assert page.locator(".graph svg").count() >= 4
    assert complaints == []


@pytest.mark.parametrize("width", [390, 1280])
def test_every_verdict_is_seen(chromium: Any, tmp_path: Path, width: int) -> None:
    """On a phone the cells of an example's lines stand below each other, so that none lies beyond its edge."""
    out, complaints = tmp_path / "out.html", list[str]()
    write_notes(judged("n2_exercises"), out)
    page = opened(chromium, out, complaints, viewport={"width": width, "height": 800})
    ends = page.eval_on_selector_all(".work .pill", "all => all.map(one => one.getBoundingClientRect().right)")
    assert len(ends) > 10
    assert max(ends) < width
    assert complaints == []
