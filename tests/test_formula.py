"""The language of formulas: four spellings of one expression, shapes, ambiguities, and input that means no good."""

import json
import subprocess
import sys
import time
import unicodedata
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from matcalc.formula import (
    SPELLINGS,
    FormulaError,
    OpenSizeError,
    ShapeError,
    Size,
    Variable,
    echo,
    from_sample,
    parse,
    parse_pair,
    spell,
    variable,
)
from matcalc.formula.expression import Expr
from matcalc.formula.names import as_tex, as_unicode, kind_of, surfaces
from matcalc.formula.operations import Point, constant, dimension, evaluate, filled, make, name, number
from matcalc.formula.size import ONE
from matcalc.formula.unification import Unknowns
from matcalc.formula.vocabulary import FUNCTIONS, Spelling

SAMPLE = Path(__file__).parent / "data" / "claims-sample.json"
CLAIMS = json.loads((Path(__file__).parent / "data" / "claims.json").read_text(encoding="utf-8"))
SIZES = {"m": 4, "n": 3, "k": 2, "p": 5, "q": 6, "r": 7, "d": 2}
DECLARED = [
    variable(text)
    for text in (
        "A: real(m, n)",
        "B: real(n, n)",
        "C: real(n, n)",
        "P: spd(n)",
        "X: real(m, n)",
        "x: real(n)",
        "y: real(n)",
        "z: real(m)",
        "u: real(n, 1)",
        "a: real",
        "b: positive",
    )
]


def read(text: str, **options: object) -> Expr:
    return parse(text, DECLARED, **options).expr  # type: ignore[arg-type]


def shown(text: str, **options: object) -> str:
    return spell(read(text, **options), "unicode")


def inputs(variables: dict[str, Variable], sizes: dict[str, int], seed: int = 0) -> dict[str, np.ndarray]:
    """Positive numbers, so that roots and logarithms are numbers too."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.uniform(0.5, 1.5, (v.rows.at(sizes), v.cols.at(sizes)) if v.shape != (ONE, ONE) else ()) for name, v in variables.items()
    }


def value(expr: Expr, variables: dict[str, Variable], sizes: dict[str, int]) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.asarray(evaluate(expr, Point(inputs(variables, sizes), sizes, np.zeros(()))))


# --- one expression, four spellings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("claims", [CLAIMS[::5], pytest.param(CLAIMS, marks=pytest.mark.slow)], ids=["some", "all"])
def test_all_spellings_of_every_claim_read_the_same(claims: list[dict[str, Any]]) -> None:
    """Told the spelling or not, what is printed reads as what was printed; only X*X of two square matrices has to be asked."""
    asked = set()
    for claim in claims:
        variables, sizes = from_sample(claim["vars"]), claim["dims"][0]
        pair = parse_pair(claim["f"], claim["claim"], variables, claim["wrt"], spelling="numpy", dimensions=sizes)
        if pair.claim is None:
            assert not claim["correct"], claim  # labelled by what was done wrong, which need not be the shape
            continue
        before = [value(each.expr, variables, sizes) for each in (pair.f, pair.claim)]
        for spelling in SPELLINGS:
            f, derivative = (spell(each.expr, spelling) for each in (pair.f, pair.claim))
            for told in (spelling, None):
                try:
                    again = parse_pair(f, derivative, variables, claim["wrt"], spelling=told, dimensions=sizes)
                except FormulaError as error:
                    assert told is None and spelling in {"matlab", "numpy"} and "say which" in str(error), (f, derivative, error)  # noqa: PT017, PT018
                    asked.add((f, derivative))
                    continue
                assert again.claim is not None
                assert (spell(again.f.expr, spelling), spell(again.claim.expr, spelling)) == (f, derivative)
                for each, expected in zip((again.f, again.claim), before, strict=True):
                    found = value(each.expr, variables, sizes)
                    assert np.allclose(found, expected, rtol=1e-9, atol=1e-12, equal_nan=True), (f, derivative)
    assert all("'" not in f + derivative for f, derivative in asked)
    assert len(asked) <= len(claims) / 100


def test_claims_whose_shapes_do_not_fit_are_all_labelled_so() -> None:
    for claim in CLAIMS:
        variables = from_sample(claim["vars"])
        pair = parse_pair(claim["f"], claim["claim"], variables, claim["wrt"], spelling="numpy", dimensions=claim["dims"][0])
        if claim["correct"]:
            assert pair.problem is None, claim


EXAMPLES = {
    "2 * A.T @ (A @ x - z)": (r"2 A^\top (A x - z)", "2Aᵀ(A x - z)", "2*A'*(A*x - z)"),
    "log(det(A @ inv(P) @ A.T))": (r"\log\det(A P^{-1} A^\top)", "log det(A P⁻¹Aᵀ)", "log(det(A*inv(P)*A'))"),
    "norm(A @ x - z) ** 2": (r"\|A x - z\|^2", "‖A x - z‖²", "norm2(A*x - z)^2"),
    "1 - x": ("1 - x", "1 - x", "1 - x"),
    "outer(x, y)": (r"x y^\top", "x yᵀ", "x*y'"),
    "-inv(P).T @ x / a": (r"-\frac{P^{-\top} x}{a}", "-P⁻ᵀx / a", "-inv(P)'*x/a"),
    "diag(x * (1 - y)) @ B": (r"\operatorname{diag}(x \odot (1 - y)) B", "diag(x ⊙ (1 - y))B", "diag(x.*(1 - y))*B"),
    "0.5 * x.T @ B @ x": (r"\tfrac12 x^\top B x", "½xᵀB x", "0.5*x'*B*x"),
    "eye(n) + B": ("I + B", "I + B", "eye(n) + B"),
    "abs(x) ** 3": (r"|x|^{\odot 3}", "|x|.^3", "abs(x).^3"),
    "a ** (n - 1)": ("a^{n - 1}", "a^(n - 1)", "a^(n - 1)"),
    "sigmoid(x)": (r"\sigma(x)", "σ(x)", "sigmoid(x)"),
    "block([[B, C], [C, B]])": (r"\begin{pmatrix} B & C \\ C & B \end{pmatrix}", "[B, C; C, B]", "[B, C; C, B]"),
    "matrix_power(B, 3) @ x": ("B^3 x", "B³x", "B^3*x"),
    "x.T @ y * B": ("x^\\top y B", "xᵀy B", "x'*y*B"),
    "B[0, 1] + x[2]": ("B_{12} + x_{3}", "B_12 + x_3", "unit(n, 1)'*B*unit(n, 2) + unit(n, 3)'*x"),
}


@pytest.mark.parametrize("text", EXAMPLES)
def test_a_formula_is_printed_as_a_person_writes_it(text: str) -> None:
    expr = read(text)
    assert spell(expr, "numpy") == text
    assert tuple(spell(expr, spelling) for spelling in ("latex", "unicode", "matlab")) == EXAMPLES[text]


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (make("add", name("x", "n"), make("neg", name("y", "n"))), "x - y"),
        (make("sub", name("x", "n"), make("neg", name("y", "n"))), "x + y"),
        (make("neg", make("add", name("x", "n"), name("y", "n"))), "-(x + y)"),
        (make("sub", name("x", "n"), make("sub", name("x", "n"), name("y", "n"))), "x - (x - y)"),
        (make("add", make("scale", number(-2), name("x", "n")), name("y", "n")), "y - 2 * x"),
        (make("scale", name("a"), number(2)), "2 * a"),
        (make("scale", number(-1), name("x", "n")), "-x"),
        (make("scale", number(2), make("divide", number(1), name("a"))), "2 / a"),
        (make("hadamard", name("x", "n"), make("matmul", name("B", "n", "n"), name("y", "n"))), "x * (B @ y)"),
        (make("power", make("neg", name("a")), number(2)), "(-a) ** 2"),
        (make("power", name("a"), number(Fraction(-1, 3))), "a ** (-1 / 3)"),
        (make("transpose", make("scale", number(2), name("B", "n", "n"))), "(2 * B).T"),
        (make("matmul", name("B", "n", "n"), make("scale", number(2), name("x", "n"))), "B @ (2 * x)"),
        (make("divide", name("a"), make("divide", name("b"), name("a"))), "a / (b / a)"),
        (filled("ones", "m", "n"), "ones((m, n))"),
        (filled("unit", "n", 1, 2), "eye(n)[:, 2]"),
        (dimension(Size.of("m") * Size.of("n") - 1), "m * n - 1"),
    ],
)
def test_no_parentheses_are_printed_but_those_that_are_needed(expr: Expr, expected: str) -> None:
    assert spell(expr, "numpy") == expected


def test_an_identity_says_its_size_only_where_nothing_else_does() -> None:
    assert spell(read("trace(eye(n)) * a"), "latex") == r"\operatorname{tr}(I_n) a"
    assert spell(read("det(eye(n) + B)"), "latex") == r"\det(I + B)"
    assert spell(read("a * eye(n)"), "unicode") == "a I_n"
    assert spell(read("a * eye(n)"), "unicode", shape_known=True) == "a I"
    assert spell(read("sum(outer(ones(m), x))"), "unicode") == "sum(𝟏_m xᵀ)"
    for text in ("trace(eye(n)) * a", "a * eye(n)", "sum(outer(ones(m), x))", "A @ ones(n)", "kron(eye(n), ones(m).T)"):
        for spelled in echo(parse(text, DECLARED)).items():
            assert read(spelled[1], spelling=spelled[0]) == read(text)


# --- expressions at random ------------------------------------------------------------------------------------------------------

SCALARS = ["a", "b", "alpha", "lam", "w0"]
VECTORS = {"n": ["x", "y", "mu_1", "dx"], "m": ["z", "t_bar"], "k": ["s"]}
MATRICES = {("m", "n"): ["A", "X_bar"], ("n", "n"): ["B", "W1", "Sigma"], ("n", "m"): ["D"], ("m", "m"): ["Q"], ("k", "n"): ["K"]}
INPUTS = {
    **{word: Variable(word) for word in SCALARS},
    **{word: Variable(word, Size.of(rows), ONE, "real", one_dimensional=True) for rows, words in VECTORS.items() for word in words},
    **{word: Variable(word, Size.of(rows), Size.of(cols)) for (rows, cols), words in MATRICES.items() for word in words},
}
SAFE = ["exp", "sin", "tanh", "sigmoid", "softplus", "abs", "sign", "relu", "log", "sqrt"]


NUMBERS = [number(2), number(Fraction(1, 3)), number(Fraction(-3, 2)), dimension("n"), constant("pi")]
Draw = st.SearchStrategy[Expr]


def built(op: str, *args: Draw) -> Draw:
    """An operation on operands at random."""
    return st.tuples(*args).map(lambda drawn: make(op, *drawn))


def leaves(rows: str, cols: str) -> list[Expr]:
    """What has a shape without being made of anything."""
    if not rows:
        return [name(word) for word in SCALARS] + NUMBERS if not cols else [make("transpose", leaf) for leaf in leaves(cols, "")]
    if not cols:
        return [name(word, rows) for word in VECTORS[rows]] + [filled("ones", rows), filled("unit", rows, 1, 1)]
    return [name(word, rows, cols) for word in MATRICES.get((rows, cols), [])] + [filled("eye" if rows == cols else "ones", rows, cols)]


def expressions(rows: str = "", cols: str = "", depth: int = 4) -> Draw:
    """Well-typed expressions of a shape."""
    basic = st.sampled_from(leaves(rows, cols))
    return st.one_of(basic, st.deferred(lambda: composed(rows, cols, depth - 1))) if depth else basic


@cache
def composed(rows: str, cols: str, depth: int) -> Draw:
    """Operations whose result has a shape."""
    same, scalar = expressions(rows, cols, depth), expressions("", "", depth)
    ways = [
        *(built(op, same, same) for op in ("add", "sub")),
        built("scale", scalar, same),
        st.sampled_from([*SAFE, "neg"]).flatmap(lambda op: built(op, same)),
        built("divide", same, scalar),
        built("power", same, st.sampled_from([number(2), number(3), number(Fraction(1, 2)), number(-1)])),
    ]
    if rows or cols:
        ways += [built("hadamard", same, same), built("quotient", same, same)]
        ways += [built("matmul", expressions(rows, inner, depth), expressions(inner, cols, depth)) for inner in "mnk"]
    if rows and cols:
        ways.append(built("transpose", expressions(cols, rows, depth)))
    if rows and rows == cols:
        ways += [built("inv", same), built("expm", same), built("diag", expressions(rows, "", depth))]
    if not rows and not cols:
        square, matrix, vector = expressions("n", "n", depth), expressions("m", "n", depth), expressions("n", "", depth)
        ways += [built("matmul", built("transpose", expressions(size, "", depth)), expressions(size, "", depth)) for size in "mnk"]
        ways += [built(op, square) for op in ("trace", "det")] + [built(op, matrix) for op in ("norm", "sum", "norm1")]
        ways += [built(op, vector) for op in ("norm", "norm1", "sum", "max", "logsumexp")]
        ways.append(st.sampled_from([make("entry", name("x", "n"), data=(1,)), make("entry", name("B", "n", "n"), data=(0, 2))]))
    return st.one_of(ways)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(expressions(), expressions("n"), expressions("m", "n"), expressions("n", "n")), st.sampled_from(SPELLINGS))
def test_what_is_printed_reads_as_what_was_printed(expr: Expr, spelling: str) -> None:
    text = spell(expr, spelling)  # type: ignore[arg-type]
    again = parse(text, INPUTS, spelling=spelling, dimensions=SIZES).expr  # type: ignore[arg-type]
    assert again.shape == expr.shape, text
    try:
        expected, found = value(expr, INPUTS, SIZES), value(again, INPUTS, SIZES)
    except (np.linalg.LinAlgError, OverflowError, ValueError):
        reject()
    finite = np.isfinite(expected) & np.isfinite(found)
    scale = np.max(np.abs(expected[finite]), initial=1.0)
    if scale < 1e6 and np.all(finite):  # where rounding says nothing of the text
        assert np.allclose(found, expected, rtol=1e-6, atol=1e-6 * scale), text
    settled = parse(spell(again, spelling), INPUTS, spelling=spelling, dimensions=SIZES).expr  # type: ignore[arg-type]
    once = spell(settled, spelling)  # type: ignore[arg-type]
    assert spell(parse(once, INPUTS, spelling=spelling, dimensions=SIZES).expr, spelling) == once  # type: ignore[arg-type]


# --- what a text means ----------------------------------------------------------------------------------------------------------

MEANINGS = {
    # a star: entry by entry in NumPy, the product of matrices elsewhere, by the shapes where nothing else says which
    "x * y": "x ⊙ y",
    "B * x": "B x",
    "B * C + A.T @ A": "B ⊙ C + AᵀA",
    "B * C + A'*A": "B C + AᵀA",
    "B .* C": "B ⊙ C",
    "a * B": "a B",
    "x'*y": "xᵀy",
    "tr(B*C)": "tr(B C)",
    r"B \circ C": "B ⊙ C",
    r"x \cdot y": "xᵀy",
    # powers
    "a^2": "a²",
    "B^2": "B²",
    "B**2": "B.^2",
    "x**2": "x.^2",
    "B^-1": "B⁻¹",
    "B^{-1} x": "B⁻¹x",
    "B^(-1)": "B⁻¹",
    "B^-T": "B⁻ᵀ",
    "A^T z": "Aᵀz",
    r"A^\top z": "Aᵀz",
    "2^x": "2^x",
    "e^x": "exp(x)",
    "-a**2": "-a²",
    "a**b**2": "a^(b²)",
    "x**-1/2": "x.^(-1) / 2",
    "a^-2/3": "a⁻² / 3",
    "a/-1/2": "-(a / 1) / 2",
    "a - 1/2": "a - ½",
    "P^{1/2}": "sqrtm(P)",
    # products that are written by nothing, and names side by side
    "AP⁻¹Aᵀ": "A P⁻¹Aᵀ",
    "1/2 x'B x": "½xᵀB x",
    "½xᵀB x": "½xᵀB x",
    r"\tfrac12 x^\top B x": "½xᵀB x",
    r"\frac{1}{n} \|x\|^2": "(1 / n) ‖x‖²",
    "2ab": "2a b",
    "-A B": "-A B",
    # one-dimensional arrays
    "x @ B": "Bᵀx",
    "x @ y": "xᵀy",
    "2 * x @ B": "2Bᵀx",
    "x.dot(y)": "xᵀy",
    "B.dot(x)": "B x",
    "inner(x, y)": "xᵀy",
    "vdot(B, C)": "sum(B ⊙ C)",
    "outer(x, y)": "x yᵀ",
    "u @ u.T": "u uᵀ",
    "x[:, None] @ x[None, :]": "x xᵀ",
    # bars
    "|a|": "|a|",
    "|B|": "det(B)",
    "|x|": "|x|",
    "|a||b|": "|a| |b|",
    "||x||": "‖x‖",
    "‖A x - z‖₂²": "‖A x - z‖²",
    r"\log|\det B|": "log |det(B)|",
    "‖B‖_F": "‖B‖_F",
    "norm(B, 2)": "‖B‖_2",
    "norm(B, 'nuc')": "‖B‖_*",
    "norm(B, ord='fro')": "‖B‖_F",
    "norm(B, ord=2)": "‖B‖_2",
    "tril(B, k=-1)": "tril(B, -1)",
    "softmax(x, axis=-1)": "softmax(x)",
    "[[a, b]; [b, a]]": "[[a, b]; [b, a]]",
    "[[a; b]]": "[a; b]",
    "[[a, b], [b, a]]": "[a, b; b, a]",
    # literals, functions, indices
    "1 - x": "1 - x",
    "1 / x": "1 ⊘ x",
    "log det P": "log det(P)",
    r"\log\det P": "log det(P)",
    "tr B x": "tr(B)x",
    "np.linalg.inv(B) @ np.exp(x)": "B⁻¹exp(x)",
    "sum(X, axis=0)": "Xᵀ𝟏",
    "X.sum(axis=1)": "X 𝟏",
    "sum(X, axis=-2)": "Xᵀ𝟏",
    "mean(x, axis=-1)": "sum(x) / n",
    "sum(X, 1) + X @ y": "X 𝟏 + X y",
    "sum(X, 1) + X'*z": "Xᵀ𝟏 + Xᵀz",
    "sum(X, 2) + X*y": "X 𝟏 + X y",
    "2**x @ B": "Bᵀ(2^x)",
    "Gamma(x) @ B": "Bᵀexp(log_gamma(x))",
    "log(Gamma(x)) @ B": "Bᵀlog_gamma(x)",
    "x_1 + B_{21}": "x_1 + B_21",
    "x[0] + B[1, 0]": "x_1 + B_21",
    r"\sum_i x_i y_i": "sum(x ⊙ y)",
    r"\sum_{i=1}^n \log x_i": "sum(log(x))",
    "∑_i ∑_j B_ij x_j": "sum((B ⊙ 𝟏xᵀ)𝟏)",
    r"\frac1n \sum_i (x_i - y_i)^2": "(1 / n)sum((x - y).^2)",
    "f = x'y": "xᵀy",
    "f(x) = x'y": "xᵀy",
    "A.T.T": "A",
    "[B, C; C, B]": "[B, C; C, B]",
    "x - max(x) * ones(n)": "x - max(x)𝟏",
    "I + B": "I + B",
    r"\mathbf 1^\top x": "𝟏ᵀx",
    "vector(1) - x": "1 - x",
    "√(x'x)": "sqrt(xᵀx)",
    "sin x'": "sin(xᵀ)",
    "np.linalg.slogdet(B)[1]": "log |det(B)|",
    "np.linalg.slogdet(B)[0]": "sign(det(B))",
    # a pseudo-inverse and a transpose in one
    r"A^{+\top} x": "pinv(A)ᵀx",
    r"A^{\top\dagger} x": "pinv(A)ᵀx",
    "A^{+T} x": "pinv(A)ᵀx",
}


@pytest.mark.parametrize("text", MEANINGS)
def test_a_text_means(text: str) -> None:
    assert shown(text) == MEANINGS[text]


def test_what_could_be_read_otherwise_is_noted() -> None:
    for text, words in {
        "x @ B": "I read x @ B as xᵀB",
        "np.exp(x) - u": "NumPy would make a matrix of the one-dimensional exp(x) and the column",
        "np.kron(x, B)": "I read x as a row, as kron in NumPy does",
        "np.diag(u)": "I read diag of the column u as one of a vector; NumPy takes it for a matrix",
        "np.maximum(u, x)": "NumPy would make a matrix of the one-dimensional x and the column",
        "x / 2 @ B": "I read x / 2 @ B as (x / 2)ᵀB",
        "2tr B x": "I read tr as a function of B alone, and x as a factor behind it",
        "1 - x": "I read 1 beside x as an array full of it",
        "exp(B)": "expm is the function of the matrix",
        "|B|": "as the determinant",
    }.items():
        (note,) = parse(text, DECLARED).notes
        assert words in note
    assert parse("x'*B*x", DECLARED).notes == ()


def test_evidence_of_one_text_decides_for_both() -> None:
    variables = {v.name: v for v in DECLARED}
    for f, claim, expected in [
        ("sum(B * C)", "2 * B.T", "sum(B ⊙ C)"),
        ("sum(B * C)", "2*B'", "sum(B C)"),
        ("sum(B * C)", "2Bᵀ", "sum(B C)"),
    ]:
        assert spell(parse_pair(f, claim, variables, "B").f.expr, "unicode") == expected
    with pytest.raises(FormulaError, match="say which") as caught:
        parse_pair("sum(B * C)", "2 * B", variables, "B")
    assert caught.value.repairs == ("B @ C", "B .* C")
    pair = parse_pair("lr*norm(A)^2", "2*lr*A", None, "A")  # what fits in no reading need not be asked about
    assert "lr is ?×1 unless declared" in str(pair.problem)


GLUED = {
    # a T above the line is one letter, whatever follows it
    "x^TBy": "xᵀB y",
    "A^Tz": "Aᵀz",
    "x^Ty": "xᵀy",
    "B^TC^T": "BᵀCᵀ",
    "B^-Tx": "B⁻ᵀx",
    r"B^{\mathrm T}x": "Bᵀx",
    r"B^{\!\top} x": "Bᵀx",
    "B^{T}": "Bᵀ",
    "x^H y": "xᵀy",
    # small letters above the line are exponents
    "eˣ": "exp(x)",
    "∑ eˣ": "sum(exp(x))",
    "aⁿ⁻¹": "a^(n - 1)",
    "e⁻ˣ": "exp(-x)",
    # capital sigma, where it is no name, and a sum of a whole product
    "Σ exp(x)": "sum(exp(x))",
    "Σ_i x_i y_i": "sum(x ⊙ y)",
    "Σᵢ xᵢ": "sum(x)",
    "∑ B x": "sum(B x)",
    # brackets
    r"2\left[ B x \right]": "2B x",
    "2[B x]": "2B x",
    "B[x + y]": "B(x + y)",
    "x[0]": "x_1",
    r"\operatorname{tr}\{B\}": "tr(B)",
    r"\left\{x + y\right\}": "x + y",
    r"\tr(B)": "tr(B)",
    r"\langle x, y\rangle": "xᵀy",
    "⟨B, C⟩": "sum(B ⊙ C)",
    "‖B‖²_F": "‖B‖_F²",
    r"\|B\|^2_F": "‖B‖_F²",
    r"\|x\|^{2}_{2}": "‖x‖²",
    "A^+ z": "pinv(A)z",
    "x^2_1": "x_1²",
    "{B}_{21}": "B_21",
    # I and the sizes in a run of letters
    "B+aI": "B + a I",
    "naIx": "n a I x",
    "2aexp(x)": "2a exp(x)",
    # a prime
    "σ'(x)": "σ(x) ⊙ (1 - σ(x))",
    "tanh'(a)": "1 - tanh(a)²",
    # bars
    "log|B|": "log det(B)",
    "sum|B|": "sum(abs(B))",
}


def test_a_run_that_was_taken_apart_is_noted() -> None:
    for text, notes in {
        "Ax": ["I read Ax as A x"],
        r"\|Ax - z\|": ["I read Ax as A x"],
        "‖Ax - z‖ + ‖Ax‖": ["I read Ax as A x"],
        "xᵀAᵀzx_1": ["I read zx_1 as z x_1"],
        r"AB_{21}": ["I read AB_21 as A B_21"],
        "2aexp(x)": ["I read aexp as a exp"],
        r"ab^2": ["I read ab as a b, and the power behind it as one of b alone"],
        "xa²": ["I read xa as x a, and the power behind it as one of a alone"],
        "x'Bx": ["I read Bx as B x"],
        "2A x": [],
        "A @ x": [],
    }.items():
        assert [note for note in parse(text, DECLARED).notes if "beside" not in note] == notes, text
    assert parse("Xw").notes[0] == "I read Xw as X w"
    with pytest.raises(ShapeError, match="a vector has no power 2: x is n×1"):
        parse("Ax^2", DECLARED)


@pytest.mark.parametrize(
    ("text", "spelling"),
    [("np.sum(Xw**2)", None), ("sum(Xw.^2)", None), ("sum(Xw)", "matlab"), ("sum(Xw)", "numpy"), ("sum(v + Xw[:, 0])", None)],
)
def test_a_name_is_one_name_in_numpy_and_matlab(text: str, spelling: Spelling | None) -> None:
    parsed = parse(text, spelling=spelling)
    assert "Xw" in parsed.variables
    assert "I take Xw for one name" in parsed.notes
    for telling in ("latex", "unicode"):
        assert {"X", "w"} <= parse("sum(Xw)", spelling=telling).variables.keys()


def test_a_text_reads_the_same_in_the_spelling_that_was_found() -> None:
    for text in ("x'Ax", "(Ax-y)'(Ax-y)", "tr(AXB)", "x'*A*x", "np.sum(Xw**2)", "X^{-1} x", "‖Ax - y‖²", r"x^\top Ax"):
        parsed = parse(text)
        assert parse(text, spelling=parsed.spelling).expr == parsed.expr, text


def test_a_claim_in_no_spelling_is_read_as_the_function_is() -> None:
    f = "np.sum((A @ x - y)**2)"
    for claim in ("2*A.T@(A@x-yy)", "2*(x - yy)", "2yy"):
        with pytest.raises(FormulaError, match="yy is no name of the function; did you mean y; a product needs a sign between y and y"):
            parse_pair(f, claim, None, "x")
    pair = parse_pair(f, "2Aᵀ(Ax - y)", None, "x")
    assert pair.claim is not None
    assert (spell(pair.claim.expr, "unicode"), pair.claim.notes) == ("2Aᵀ(A x - y)", ("I read Ax as A x",))


def test_braces_are_told_for_tex() -> None:
    assert [parse(text).spelling for text in ("tr(X^{-1} B)", "X_{21}", "a^{2}", "X^{+T}")] == ["latex"] * 4
    assert [parse(text).spelling for text in ("‖x‖^{2}", "tr(X^-1*B)", "A.T @ A")] == ["unicode", "matlab", "numpy"]


def test_a_name_that_only_the_claim_has_is_noted() -> None:
    for f, claim, notes in [
        ("x'*x", "2*a*x", ("I take a for a scalar", "a does not occur in f")),
        ("x'*x", "2*x", ()),
        ("X^-1", "-X^-1 dX X^-1", ("I take dX for a matrix",)),
    ]:
        pair = parse_pair(f, claim, None, f[-1] if f[-1] == "x" else "X", kind="differential" if "dX" in claim else "auto")
        assert pair.claim is not None
        assert pair.claim.notes == notes
    with pytest.raises(FormulaError, match=r"the function does not contain xx; did you mean x$"):
        parse_pair("x'*x", "2*x", None, "xx")


@pytest.mark.parametrize("text", GLUED)
def test_what_people_write_without_a_space_or_in_other_signs(text: str) -> None:
    assert shown(text) == GLUED[text]


def test_a_raised_t_is_an_exponent_where_it_is_a_name() -> None:
    for text, names, expected in [
        ("a^T", "a T", "a^T"),
        ("a^T1", "a T1", "a^(T₁)"),
        ("a^Tx", "a Tx", "a^Tx"),
        ("a^Tx", "a x", "a x"),
        ("a^H", "a H", "a^H"),
    ]:
        assert spell(parse(text, map(Variable, names.split())).expr, "unicode") == expected
    assert spell(parse(r"\sigma(x1)", [Variable("x1")]).expr, "unicode") == "σ(x₁)"


DECLARED_ARE = "declared are A, B, C, P, X, x, y, z, u, a, b, and a declaration such as"
ERRORS = {
    "sin^2(x)": (FormulaError, "the power of sin stands behind its argument, as in sin(x)^2", (0, 5), "sin(x)^2"),
    r"\log^2\left(a\right)": (FormulaError, "the power of log stands behind its argument, as in log(x)^2", (0, 6), r"\log\left(a\right)^2"),
    "a tan⁻¹(x)": (FormulaError, "the power of tan stands behind its argument, as in tan(x)^2", (2, 7), "arctan(x)"),
    r"\log_{10} b": (FormulaError, "the index 10 of log is not read", (0, 11), "log(b) / log(10)"),
    r"\max_i x_i": (FormulaError, "the index i of max is not read", (0, 10), None),
    r"\sqrt[3]{b}": (FormulaError, "a root of a higher degree is written as a power, as in x^{1/3}", (0, 5), None),
    r"\frac{n}{2} \log 2\pi": (FormulaError, r"it is not clear how far \log reaches; put parentheses", (12, 21), r"\log(2 \pi)"),
    "inner(B, C)": (FormulaError, "inner(B, C) is B @ C.T in NumPy and the trace of B.T @ C elsewhere; say which", (0, 11), "vdot(B, C)"),
    "inner(y, B)": (FormulaError, "inner(y, B) is y @ B.T in NumPy and the trace of y.T @ B elsewhere; say which", (0, 11), "y @ B.T"),
    "np.triu(x)": (ShapeError, "a triangle is one of a matrix: x is n×1", (3, 10), None),
    "np.max(B, 0)": (
        FormulaError,
        "max(B, 0) would name an axis in NumPy, and maximum(B, 0) goes entry by entry",
        (3, 12),
        "maximum(B, 0)",
    ),
    "outer(x, B)": (ShapeError, "the outer product is one of two columns: x is n×1, B is n×n", (0, 11), None),
    "outer(B, C)": (ShapeError, "the outer product is one of two columns: B is n×n, C is n×n", (0, 11), None),
    "norm(B, 1)": (
        FormulaError,
        "norm(B, 1) is the largest sum of a column in NumPy and MATLAB, which is not read; the sum of all is norm1(B)",
        (0, 10),
        "norm1(B)",
    ),
    "a + x(1)": (FormulaError, "an array stands before a number in parentheses; an entry is x_1", (4, 8), "x_1"),
    "sin^2 x": (FormulaError, "the power of sin stands behind its argument, as in sin(x)^2", (0, 5), None),
    "max(A, axis=1)": (ShapeError, "max along an axis is read of a vector only, but A is m×n", (0, 14), None),
    "norm(A, axis=1)": (FormulaError, "the argument axis of norm is not read", (13, 14), None),
    "sum(A, axis=0, keepdims=True)": (FormulaError, "the argument keepdims of sum is not read", (24, 28), None),
    "log1p(x, y)": (FormulaError, "log1p takes one argument, but 2 came", (0, 11), None),
    "norm(x, 2, 3)": (FormulaError, "norm takes one argument or two, but 3 came", (0, 13), None),
    "exp(x, 'fro')": (FormulaError, "exp takes one argument, but 2 came", (0, 13), None),
    "dot(x, 'fro')": (FormulaError, "a word in quotes stands only where a norm is named, as in norm(X, 'nuc')", (7, 12), None),
    "sum(A, 3)": (FormulaError, "an axis is 0 or 1", (7, 8), None),
    "tril(B, a)": (FormulaError, "the offset a of a triangle is no number", (0, 10), None),
    "f(x)": (FormulaError, "f is no function that is known; write it out, or a product as in f * (x)", (0, 1), None),
    "f'(x)": (FormulaError, "f is no function that is known; write it out, or a product as in f * (x)", (0, 1), None),
    "sigma(x)": (FormulaError, "there is no function sigma; did you mean sigmoid", (0, 5), "sigmoid"),
    "adj(B)": (FormulaError, "there is no function adj; did you mean det(X) inv(X)", (0, 3), None),
    "rank(B)": (FormulaError, "there is no function rank", (0, 4), None),
    "B{21}": (FormulaError, "a number in braces follows B; an index is written as in B_{21}", (1, 2), None),
    "9**9**9 * x": (FormulaError, "the exponent 9⁹ is larger than 1000", (0, 7), None),
    "__import__(x)": (FormulaError, "__import__ is no function, since none begins with a line below", (0, 10), None),
    "xᵏ": (
        FormulaError,
        f'k is not declared; {DECLARED_ARE} "k: real(n)" adds it',
        (1, 2),
        None,
    ),
    "A.T @ P": (ShapeError, "the inner dimensions differ: Aᵀ is n×m, P is n×n", (0, 7), "A @ P"),
    "2 * A @ (A @ x - z)": (ShapeError, "the inner dimensions differ: A is m×n, A x - z is m×1", (0, 19), "2 * A.T @ (A @ x - z)"),
    r"A^\top B^{-1}": (ShapeError, "the inner dimensions differ: Aᵀ is n×m, B⁻¹ is n×n", (0, 13), "A B^{-1}"),
    "A' * B": (ShapeError, "the inner dimensions differ: Aᵀ is n×m, B is n×n", (0, 6), "A*B"),
    "x + z": (ShapeError, "the shapes differ: x is n×1, z is m×1", (0, 5), None),
    "A + X'": (ShapeError, "the shapes differ: A is m×n, Xᵀ is n×m", (0, 6), "A + X"),
    "inv(A)": (ShapeError, "the matrix is not square: A is m×n", (0, 6), "pinv(A)"),
    "log(det(A))": (ShapeError, "the matrix is not square: A is m×n", (4, 10), None),
    "x^2": (ShapeError, "a vector has no power 2: x is n×1", (0, 3), "x.^2"),
    "xᵀ²": (ShapeError, "a vector has no power 2: xᵀ is 1×n", (0, 3), None),
    "A^2": (ShapeError, "a power needs a square matrix: A is m×n", (0, 3), "A.^2"),
    "|A|": (ShapeError, "the bars can mean several things: A is m×n", (0, 3), "abs(A)"),
    "a + B": (ShapeError, "a is a scalar and B is n×n; say which entries it is added to", (0, 5), "a * eye(n)"),
    "A * x.T + A @ B": (ShapeError, "a matrix and a vector have no product entry by entry: A is m×n, x is n×1", (0, 7), "A @ diag(x)"),
    "x @ x.T": (FormulaError, "x @ x.T is a number in NumPy and a matrix for columns; say which", (0, 7), "outer(x, x)"),
    "a/b x": (FormulaError, "it is not clear what the stroke divides by; put parentheses", (0, 5), "a/(b x)"),
    "B * C": (FormulaError, "B * C can be the product of matrices or the product entry by entry; say which", (0, 5), "B @ C"),
    r"\frac{x}{y}": (ShapeError, "y is n×1, and nothing divides by an array", (0, 11), "x ⊘ y"),
    "tr(I)": (OpenSizeError, "nothing says which size I has; write it, as in eye(n), ones(n) or I_n", (3, 4), None),
    "siggmoid(x)": (FormulaError, "there is no function siggmoid; did you mean sigmoid", (0, 8), "sigmoid"),
    "a + Z": (
        FormulaError,
        f'Z is not declared; {DECLARED_ARE} "Z: real(m, n)" adds it',
        (4, 5),
        None,
    ),
    "a + beta": (
        FormulaError,
        f'beta is not declared; {DECLARED_ARE} "beta: real" adds it',
        (4, 8),
        None,
    ),
    "x_q": (FormulaError, "the index q of x is no number", (0, 3), None),
    "np.exp(yq)": (
        FormulaError,
        f'yq is not declared; did you mean y; {DECLARED_ARE} "yq: real(n)" adds it',
        (7, 9),
        "y",
    ),
    # in NumPy and MATLAB names are never taken apart
    "A.T @ (A @ x - zz)": (FormulaError, "zz is not declared; did you mean z; a product needs a sign between z and z", (15, 17), "z"),
    "np.sum(Ax)": (FormulaError, "Ax is not declared; a product needs a sign between A and x", (7, 9), None),
    "sum((Ax).^2)": (FormulaError, "Ax is not declared; a product needs a sign between A and x", (5, 7), None),
    "Ax[0]": (FormulaError, "Ax is not declared; a product needs a sign between A and x", (0, 2), None),
    "x ** 2 * aI": (FormulaError, "aI is not declared; a product needs a sign between a and I", (9, 11), None),
    "np.sum(y*xlog(x))": (FormulaError, "there is no function xlog; a product needs a sign between x and log", (9, 13), None),
    "x + Ax_1 ** 2": (
        FormulaError,
        f'Ax_1 is not declared; {DECLARED_ARE} "Ax_1: real(m, n)" adds it',
        (4, 8),
        None,
    ),
    "logdet(X=B)": (FormulaError, "logdet takes its argument without a name, but X=B came", (7, 10), None),
    "slogdet(B)": (
        FormulaError,
        "slogdet gives two values: slogdet(X)[0], a sign, and slogdet(X)[1], a logarithm",
        (0, 10),
        None,
    ),
    "slogdet(B)[2]": (
        FormulaError,
        "slogdet gives two values: slogdet(X)[0], a sign, and slogdet(X)[1], a logarithm",
        (0, 13),
        None,
    ),
    "logdet(B)[1]": (FormulaError, "log det(B) is a scalar and has no entries", (0, 12), None),
    "a + (b": (FormulaError, "the formula ends where “)” should follow", (6, 7), None),
    "a + * b": (FormulaError, "“*” stands where a name, a number or a bracket should follow", (4, 5), None),
    "a b 2": (FormulaError, "a number stands after a factor without a sign between them", (4, 5), None),
    "x\0y": (FormulaError, r"the character '\x00' (U+0000) means nothing here", (1, 2), None),
    r"\nabla a": (FormulaError, r"the command \nabla means nothing here", (0, 6), None),
    "a / 0": (FormulaError, "a number is divided by zero", (0, 5), None),
    r"\sum_{i=1}^m x_i": (ShapeError, "the sum ends at m, but there are n entries", (0, 16), None),
    "sum()": (FormulaError, "sum needs an argument", (0, 5), None),
}


@pytest.mark.parametrize("text", ERRORS)
def test_an_error_points_at_the_place_and_says_what_would_fit(text: str) -> None:
    kind, message, span, repair = ERRORS[text]
    with pytest.raises(FormulaError) as caught:
        parse(text, DECLARED)
    error = caught.value
    assert (type(error), str(error), error.span) == (kind, message, span)
    assert repair is None or repair in error.repairs
    assert error.text == text
    assert error.shown().splitlines()[2].count("^") == max(1, span[1] - span[0])


LONG = "x" + " + x" * 100


@pytest.mark.parametrize(
    ("text", "line", "marks"),
    [
        ("a + Z", "a + Z", "    ^"),
        ("a + (b", "a + (b", "      ^"),
        (LONG + " + Z", "…" + (LONG + " + Z")[-120:], " " * 120 + "^"),
        ("Z + " + LONG, ("Z + " + LONG)[:120] + "…", "^"),
        (LONG + " + Z" + " + x" * 50, "…" + (LONG + " + Z" + " + x" * 50)[344:464] + "…", " " * 61 + "^"),
        ("x̄ +\n\tZ", "x̄ +  Z", "     ^"),
        ("x\u202e + y", "x  + y", " ^"),
    ],
)
def test_the_place_of_an_error_is_shown_on_one_line(text: str, line: str, marks: str) -> None:
    """A long text is cut around the place; what would break the line is a space, and a mark above a letter has no column."""
    with pytest.raises(FormulaError) as caught:
        parse(text, [*DECLARED, Variable("x_bar")])
    assert caught.value.shown().splitlines()[1:3] == [f"  {line}", f"  {marks}"]


@pytest.mark.parametrize(
    "text", [text for text, (kind, _, _, repair) in ERRORS.items() if kind is ShapeError and repair and "ones" not in repair]
)
def test_every_repair_is_a_formula(text: str) -> None:
    with pytest.raises(ShapeError) as caught:
        parse(text, DECLARED)
    for repair in caught.value.repairs:
        parse(repair, DECLARED)


# --- names that nobody declared, and sizes that nobody gave ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected", "shapes"),
    [
        ("0.5*x'*A*x", "½xᵀA x", {"x": "n 1", "A": "n n"}),
        ("A*exp(x)", "A exp(x)", {"A": "m n", "x": "n 1"}),
        ("sin(x)'*y", "sin(x)ᵀy", {"x": "n 1", "y": "n 1"}),
        ("(y.*v)'*x", "(y ⊙ v)ᵀx", {"y": "n 1", "v": "n 1", "x": "n 1"}),
        ("a^b", "a^b", {"a": "1 1", "b": "1 1"}),
        ("norm1(A*x-y)", "‖A x - y‖_1", {"A": "m n", "x": "n 1", "y": "m 1"}),
        ("norm2(A*x-y)^2", "‖A x - y‖²", {"A": "m n", "x": "n 1", "y": "m 1"}),
        ("sum(log(exp(-y.*(X*w))+vector(1)))", "sum(log(exp(-y ⊙ X w) + 1))", {"y": "m 1", "X": "m n", "w": "n 1"}),
        ("tr(A*X'*B*X*C)", "tr(A XᵀB X C)", {"A": "m n", "X": "p n", "B": "p p", "C": "n m"}),
        ("log(det(inv(X)))", "log det(X⁻¹)", {"X": "n n"}),
        (r"\alpha x^\top \Sigma^{-1} x", "α xᵀΣ⁻¹x", {"alpha": "1 1", "x": "n 1", "Sigma": "n n"}),
    ],
)
def test_matrixcalculus_org_examples_need_no_declarations(text: str, expected: str, shapes: dict[str, str]) -> None:
    parsed = parse(text)
    assert spell(parsed.expr, "unicode") == expected
    assert {word: f"{v.rows} {v.cols}" for word, v in parsed.variables.items()} == shapes


UNDECLARED = {
    "x^TAx": ("xᵀA x", "A: n×n, x: n×1"),
    "AXB": ("A X B", "A: m×n, B: p×q, X: n×p"),
    "pp^T": ("p pᵀ", "p: n×1"),
    "λw + σx": ("λ w + σ x", "lambda: 1×1, sigma: 1×1, w: n×1, x: n×1"),
    "W1x + b_1": ("W₁ x + b₁", "W1: m×n, b_1: m×1, x: n×1"),
    "foo + a": ("foo + a", "a: 1×1, foo: 1×1"),
    "lossX": ("lossX", "lossX: n×1"),
    "a^T x": ("aᵀx", "a: n×1, x: n×1"),
    "x'b": ("xᵀb", "b: n×1, x: n×1"),
    "(y - X b)'(y - X b)": ("(y - X b)ᵀ(y - X b)", "X: m×n, b: n×1, y: m×1"),
    "norm(A @ x - b)": ("‖A x - b‖", "A: m×n, b: m×1, x: n×1"),
    "‖y - Xβ‖² + λ‖β‖²": ("‖y - X β‖² + λ ‖β‖²", "X: m×n, beta: n×1, lambda: 1×1, y: m×1"),
    "a'X^-1 b": ("aᵀX⁻¹b", "X: n×n, a: n×1, b: n×1"),
    "e'Xe": ("eᵀX e", "X: n×n, e: n×1"),
    "b[0]*x": ("b_1 x", "b: m×1, x: n×1"),
    "∑_i a_i x_i": ("sum(a ⊙ x)", "a: n×1, x: n×1"),
    "a'*x*b'*x": ("aᵀx bᵀx", "a: n×1, b: n×1, x: n×1"),
    # these stay scalars
    "c x'x": ("c xᵀx", "c: 1×1, x: n×1"),
    "tr(X b)": ("tr(b X)", "X: n×n, b: 1×1"),
    "2*x*c": ("2c x", "c: 1×1, x: n×1"),
    "a(x+y)": ("a(x + y)", "a: 1×1, x: n×1, y: n×1"),
    "x'x + b": ("xᵀx + b", "b: 1×1, x: n×1"),
    "g_1 (1 - g_1)": ("g₁(1 - g₁)", "g_1: 1×1"),
    "log|X|": ("log det(X)", "X: n×n"),
    "e^X": ("exp(X)", "X: m×n"),
    "ŷᵀx": ("ŷᵀx", "x: n×1, ŷ: n×1"),
    # counts
    "sum(x)/n": ("sum(x) / n", "n: 1×1, x: m×1"),
    "norm(X*w-y)^2/(2*n)": ("‖X w - y‖² / (2n)", "X: m×p, n: 1×1, w: p×1, y: m×1"),
    "A*x*(n'x)": ("nᵀx A x", "A: m×p, n: p×1, x: p×1"),
    "m - x": ("m - x", "m: n×1, x: n×1"),
    # a size once is a size everywhere
    r"\frac1n \sum_{i=1}^n x_i": ("(1 / n)sum(x)", "x: n×1"),
    "n x'ones(n)": ("n xᵀ𝟏", "x: n×1"),
    "x'I_n x / n": ("xᵀI x / n", "x: n×1"),
}


@pytest.mark.parametrize("text", UNDECLARED)
def test_names_that_nobody_declared_are_told_apart_and_taken_for_what_fits(text: str) -> None:
    parsed = parse(text)
    shapes = ", ".join(f"{word}: {each.rows}×{each.cols}" for word, each in sorted(parsed.variables.items()))
    assert tuple(unicodedata.normalize("NFC", said) for said in (spell(parsed.expr, "unicode"), shapes)) == UNDECLARED[text]


def test_how_undeclared_names_were_taken_is_noted() -> None:
    assert parse("x'b").notes == ("I take x for a vector", "I take b for a vector")
    assert parse("foo*a").notes == ("I take foo for a scalar", "I take foo for one name", "I take a for a scalar")
    assert "expm is the function of the matrix" in parse("e^X").notes[1]
    assert "I read exp of the square matrix B entry by entry" in parse("e^B", DECLARED).notes[0]


def test_the_names_of_a_claim_are_those_of_the_function() -> None:
    for f, claim, wrt, expected in [
        ("x'Ax", "2Ax", "x", "2A x"),
        ("x'*A*x", "2Ax", "x", "2A x"),
        ("a'Xb", "ab'", "X", "a bᵀ"),
        ("foo*x'*x", "2foo x", "x", "2foo x"),
        ("tr(A*X)", "A'I", "X", "AᵀI"),
        ("log|X|", "X^-T", "X", "X⁻ᵀ"),
        ("AX", "I ⊗ A", "X", "I_p ⊗ A"),
        ("X'X", "(I+K)(I⊗X')", "X", "(I + K)(I_n ⊗ Xᵀ)"),
        ("‖y-Xβ‖²", "-2Xᵀ(y-Xβ)", "beta", "-2Xᵀ(y - X β)"),
        ("a*x'*x", "2*a*x", "x", "2a x"),
    ]:
        pair = parse_pair(f, claim, None, wrt)
        assert pair.problem is None
        assert pair.claim is not None
        assert spell(pair.claim.expr, "unicode") == expected
    for wrt in ("ŷ", unicodedata.normalize("NFD", "ŷ"), "y_hat"):
        assert parse_pair("ŷ'x", "x", None, wrt).problem is None
    with pytest.raises(FormulaError, match="Aq is no name of the function and no product of its names, which are x, A"):
        parse_pair("x'*A*x", "2Aq", None, "x")


def test_a_function_that_is_no_scalar_is_named_where_the_claim_does_not_fit() -> None:
    for f in ("X'X", "X @ W"):
        problem = parse_pair(f, "2X", None, "X").problem
        assert "was expected for the derivative of" in str(problem)
    declared = [variable("X: real(n, n)"), variable("a: real"), variable("b: real(n)")]
    problem = parse_pair("a X^-1 b", "X", declared, "X").problem
    assert str(problem) == "the claim is n×n, but n×(n n) was expected for the derivative of a X⁻¹b, which is n×1"
    with pytest.raises(ShapeError, match="the shapes differ: lr is \\?×1 unless declared, A is"):
        parse("lr*A")
    with pytest.raises(ShapeError, match=r"b is taken for a scalar, which a declaration such as b: real\(n\) changes"):
        parse("X + b")


def test_an_entry_that_an_array_does_not_have() -> None:
    W = [variable("W: real(2, 3)")]
    assert spell(parse("W_{21}", W).expr, "unicode") == spell(parse("W_ {21}", W).expr, "unicode") == "W_21"
    with pytest.raises(FormulaError, match="W is 2×3, so it has no entry 31"):
        parse("W_{31}", W)


def test_the_convention_for_names() -> None:
    kinds = {word: kind_of(word) for word in ("a", "g", "h", "x", "A", "W1", "alpha", "Sigma", "x_bar", "dX", "lambda", "ell")}
    assert [word for word, kind in kinds.items() if kind == "scalar"] == ["a", "g", "alpha", "lambda", "ell"]
    assert [word for word, kind in kinds.items() if kind == "matrix"] == ["A", "W1", "Sigma", "dX"]


def test_sizes_of_a_kronecker_product_are_found_from_all_around() -> None:
    variables = [
        variable("A: real(m, n)"),
        variable("B: real(p, q)"),
        Variable("Z", Size.of("m") * Size.of("p"), Size.of("n") * Size.of("q")),
    ]
    text = r"(I \otimes \mathbf 1^\top) (Z \odot (\mathbf 1 \mathbf 1^\top \otimes B)) (I \otimes \mathbf 1)"
    expr = parse(text, variables, like=name("A", "m", "n")).expr
    assert expr.shape == (Size.of("m"), Size.of("n"))
    assert sorted({str(node.rows) for node in expr.nodes() if node.op in {"eye", "ones"}}) == ["m", "n", "p", "q"]
    with pytest.raises(FormulaError):
        parse(text, variables)


def test_there_are_names_for_as_many_sizes_as_there_are() -> None:
    """A product of two hundred matrices has more sizes than letters, and each is found without going through all others."""
    start = time.process_time()
    parsed = parse(" + ".join(f"A{k}*B{k}*C{k}" for k in range(120)), spelling="matlab")
    assert len({size for each in parsed.variables.values() for size in each.shape}) == 242
    assert time.process_time() - start < 10


def test_unknown_sizes() -> None:
    unknowns = Unknowns()
    m, n, p = map(Size.of, "mnp")
    a, b, c = (unknowns.new() for _ in range(3))
    assert unknowns.same(a * b, m * p)
    assert unknowns.waiting
    assert unknowns.same(a, m)
    assert unknowns.settle() is None
    assert unknowns.known(b) == p
    assert unknowns.same(c * 2, n * 4)
    assert unknowns.known(c) == n * 2
    assert not unknowns.same(m, n)
    assert not unknowns.same(unknowns.new() + n, n)
    proper = unknowns.new(proper=True)
    assert unknowns.same(unknowns.new(), proper)
    assert not unknowns.same(proper, ONE)


# --- pairs ----------------------------------------------------------------------------------------------------------------------


def test_the_shape_that_a_claim_must_have() -> None:
    variables = {v.name: v for v in DECLARED}
    for f, claim, wrt, kind, expected in [
        ("norm(A @ x - z) ** 2", "2 * A.T @ (A @ x - z)", "x", "gradient", "n 1"),
        ("A @ x", "A", "x", "jacobian", "m n"),
        ("x * a", "x", "a", "jacobian", "n 1"),
        ("sum(B @ B)", "B.T + B.T", "B", "gradient", "n n"),
        ("A @ x", "A @ dx", "x", "differential", "m 1"),
    ]:
        pair = parse_pair(f, claim, variables, wrt)
        assert (pair.kind, " ".join(map(str, pair.expected)), pair.problem) == (kind, expected, None)
    hessian = parse_pair("x'*B*x", "B + B'", variables, "x", kind="hessian")
    assert (hessian.expected, hessian.problem) == ((Size.of("n"), Size.of("n")), None)
    tangent = parse_pair(r"\log\det P", r"\operatorname{tr}(P^{-1} dP)", variables, "P")
    assert (tangent.kind, tangent.problem) == ("differential", None)


def test_a_claim_whose_shape_is_wrong_is_returned_with_the_problem() -> None:
    variables = {v.name: v for v in DECLARED}
    turned = parse_pair("sum(A * A)", "2 * A.T", variables, "A")
    assert turned.claim is not None
    assert str(turned.problem) == "the claim is n×m, but m×n was expected"
    broken = parse_pair("norm(A @ x - z) ** 2", "2 * A @ (A @ x - z)", variables, "x")
    assert broken.claim is None
    assert broken.problem is not None
    assert "2 * A.T @ (A @ x - z)" in broken.problem.repairs
    with pytest.raises(ShapeError):
        parse_pair("A @ z", "A", variables, "x")
    with pytest.raises(FormulaError, match="does not contain"):
        parse_pair("x'*x", "2*x", None, "y")


def test_the_identity_in_a_claim_is_as_large_as_the_variable() -> None:
    pair = parse_pair("tr(X)", "I", None, "X")
    assert pair.claim is not None
    assert pair.claim.expr == filled("eye", "n", "n")
    zero = parse_pair("tr(B)", "0", {v.name: v for v in DECLARED}, "B")
    assert zero.claim is not None
    assert zero.claim.expr == filled("zeros", "n", "n")


def test_declarations() -> None:
    assert variable("K: spd(n)") == Variable("K", Size.of("n"), Size.of("n"), "spd")
    assert variable("x: real(n)") == Variable("x", Size.of("n"), ONE, "real", one_dimensional=True)
    assert variable("x:real(n, 1)") == Variable("x", Size.of("n"), ONE, "real")
    assert variable("a: positive") == Variable("a", domain="positive")
    for text in ("K", "K: ", "K: spd(n", "K: spd(n, m, k)", "K: spd(2n)", "K: spd(-1)", "x: real(0)", "A: real(2, 0)"):
        with pytest.raises(ValueError, match=r"declared as in|dimension"):
            variable(text)


@pytest.mark.parametrize(
    ("word", "tex", "plain"),
    [
        ("W1", "W_1", "W₁"),
        ("W_1", "W_1", "W₁"),
        ("alpha", r"\alpha", "α"),
        ("lam", r"\lambda", "λ"),
        ("X_bar", r"\bar X", "X̄"),
        ("ell_bar", r"\bar\ell", "ℓ̄"),
        ("W_1_bar", r"\bar W_1", "W̄₁"),
        ("dX", "dX", "dX"),
        ("dalpha", r"d\alpha", "dα"),
        ("dmu_1", r"d\mu_1", "dμ₁"),
        ("Sigma0", r"\Sigma_0", "Σ₀"),
        ("y_hat", r"\hat y", "ŷ"),
        ("delta", r"\delta", "δ"),
        ("theta12", r"\theta_{12}", "θ₁₂"),
    ],
)
def test_a_name_in_tex_and_in_plain_text(word: str, tex: str, plain: str) -> None:
    assert (as_tex(word), as_unicode(word)) == (tex, unicodedata.normalize("NFD", plain))
    for text in (tex, plain, unicodedata.normalize("NFC", plain), word, *surfaces(word)):
        assert parse(f"{text} + {text}", [Variable(word)]).expr == make("add", name(word), name(word)), text


# --- input that means no good ---------------------------------------------------------------------------------------------------

LARGE = [
    "x + " * 190 + "x",
    "-" * 190 + "x",
    "(" * 90 + "x" + ")" * 90,
    "A⊗" * 6 + "A",
    "a b " * 99,
    "B'" * 150 + " x",
    "sin(" * 90 + "x" + ")" * 90,
]
HOSTILE = [
    "(" * 100_000 + "x" + ")" * 100_000,
    "(" * 9_000 + "x" + ")" * 9_000,
    "x+" * 9_000 + "x",
    "-" * 19_000 + "x",
    "x" + "'" * 19_000,
    "A" * 1_000_000,
    "9" * 1_000_000,
    "9" * 19_000,
    "1e999999",
    "1e-999999",
    "2^(99999)",
    "B^999999",
    "B^(10^9)",
    "B**99999",
    "B⊗" * 190 + "B",
    "B⊗" * 7 + "B",
    "kron(" * 8 + "B" + ",B)" * 8,
    "9**9**9 * x",
    "9**9**7",
    "2^2^2^2^2",
    "((9**900)**900)**900",
    "1e300**1000",
    "1e-300^999",
    "9" * 40 + "e299",
    "kron(" * 90 + "B" + ",B)" * 90 + "@kron(B,B)",
    "inv(" * 300 + "B" + ")" * 300,
    "sym(" * 40 + "B" + ")" * 40,
    "σ'(" * 40 + "x" + ")" * 40,
    "tanh'(" * 90 + "x" + ")" * 90,
    "sin " * 190 + "x",
    r"\frac" * 1_000,
    r"\frac{" * 90 + "1" + "}{a}" * 89,
    r"\bar" * 4_000,
    r"\sqrt{" * 90 + "x" + "}" * 89,
    "|" * 3_001,
    "‖" * 3_001,
    "|x" * 51,
    "_" * 100,
    "x_{" + "9" * 5_000 + "}",
    "x_" + "9" * 50,
    "x_{" * 50,
    "ones(999999999999)",
    "ones(" + "n*" * 80 + "n)",
    "ones(n - n)",
    "eye(n)[:,99999999]",
    "x\0",
    "x\u202ey",
    "\ud800",
    "💥",
    "Z͑a̴l̷g̶o",
    "A[" * 90,
    "[" * 90,
    "__import__('os').system('x')",
    "().__class__.__mro__",
    "lambda x: x",
    "x if a else y",
    "{}" * 100,
    "\\" * 1_000,
    "e^" * 90 + "e^",
    "^" * 1_000,
    "aB" * 5_000,
    "",
    " \n\t ",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_hostile_input_ends_in_an_error_within_a_second(text: str) -> None:
    start = time.perf_counter()
    for spelling in (None, *SPELLINGS):
        with pytest.raises(FormulaError) as caught:
            parse(text, DECLARED, spelling=spelling)
        assert 5 < len(str(caught.value)) < 400
        assert len(caught.value.shown()) < 90_000
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("spelling", [None, *SPELLINGS])
def test_what_nests_deeply_is_read_and_printed_in_a_time_that_grows_with_its_length(spelling: Spelling | None) -> None:
    """Whatever reads or prints an operand twice takes a thousand times as long for ten brackets more."""
    ways = [(f"{word}(", ")") for word in FUNCTIONS]
    ways += [
        ("log(1+exp(", "))"),
        ("[[", "]]"),
        ("|", "|"),
        ("‖", "‖"),
        ("σ'(", ")"),
        ("x.*(", ")"),
        ("(1/(", "))"),
        ("-(", ")"),
        ("e^", ""),
    ]
    start = time.process_time()
    for before, after in ways:
        for inside in "axB":
            try:
                parsed = parse(before * 30 + inside + after * 30, DECLARED, spelling=spelling)
            except FormulaError as error:
                error.shown()
            else:
                assert all(echo(parsed).values())
    assert time.process_time() - start < 30  # a tenth of it on an idle machine


def test_what_is_large_but_means_something_is_read() -> None:
    """As much as is read at all goes through printing, comparing and evaluating."""
    for text in LARGE:
        parsed = parse(text, DECLARED)
        assert all(echo(parsed).values())
        assert parsed.expr == parse(text, DECLARED).expr
        assert parsed.expr.names


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="AxBa2.1@*+-/^'()|‖[]{}_,= ⊙ᵀ⁻¹\\topbarfracsqrtdetinv𝟏αI&;:√∑", max_size=40))
def test_no_text_does_anything_but_mean_something_or_raise(text: str) -> None:
    try:
        parsed = parse(text, DECLARED)
    except FormulaError:
        return
    for spelled in echo(parsed).values():
        assert spelled


TEXTS = sorted({claim[side] for claim in CLAIMS for side in ("f", "claim")} | {*MEANINGS, *GLUED, *UNDECLARED})
PIECES = [*TEXTS, *"()[]{}|‖,;:=^_'*/+-.@&\\ 0T", "axis=0", "'fro'", "^2", "⁻¹", "\\frac", "\\sum_", "\\bar ", "\\log", "d", "e^", "exp("]


@settings(max_examples=300, deadline=2000)
@given(st.lists(st.tuples(st.sampled_from(PIECES), st.integers(0, 30), st.integers(0, 30), st.integers(1, 8)), min_size=1, max_size=6))
def test_a_formula_that_was_spoilt_means_something_or_raises(pieces: list[tuple[str, int, int, int]]) -> None:
    """Pieces of real formulas, cut and repeated, in one another; with declared names and without."""
    text = ""
    for piece, cut, place, times in pieces:
        text = text[:place] + piece[cut % len(piece) :] * times + text[place:]
    for variables in (DECLARED, None):
        try:
            printed = list(echo(parse(text[:2000], variables)).values())
        except FormulaError as error:
            printed = [error.shown() if len(str(error)) < 400 else ""]
        assert all(printed)


def test_reading_needs_no_jax_and_is_imported_when_it_is_asked_for() -> None:
    script = (
        "import sys, matcalc.formula as f; assert 'lark' not in sys.modules; f.parse('x\\'*A*x'); "
        "assert 'lark' in sys.modules; assert not {'jax', 'torch', 'scipy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_a_formula_is_read_in_about_a_millisecond() -> None:
    texts = [(claim["f"], from_sample(claim["vars"]), claim["dims"][0]) for claim in CLAIMS[:200]]
    best = min(_seconds(texts) for _ in range(3))
    assert best / len(texts) < 0.003  # on a busy machine


def _seconds(texts: list[tuple[str, dict[str, Variable], dict[str, int]]]) -> float:
    start = time.process_time()
    for text, variables, sizes in texts:
        parse(text, variables, spelling="numpy", dimensions=sizes)
    return time.process_time() - start
