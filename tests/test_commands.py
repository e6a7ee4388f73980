"""The commands about formulas: check, graph, notes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from matcalc.cli import main

SAMPLE = {
    "id": "c1",
    "f": "log(det(K))",
    "vars": {"K": {"kind": "matrix", "shape": ["n", "n"], "domain": "invertible"}},
    "wrt": "K",
    "claim": "inv(K)",
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def matcalc(*arguments: str) -> Result:
    """The command in this process."""
    return CliRunner().invoke(main, [*arguments], catch_exceptions=False)


# --- check ------------------------------------------------------------------------------------------------------------------


def test_a_right_claim_exits_with_0() -> None:
    """The verdict, and how the formulas were read."""
    done = matcalc("check", "log(det(K))", "--wrt", "K", "--claim", "inv(K)'", "--var", "K: spd(n)")
    assert done.exit_code == 0
    assert "I read claim as K⁻ᵀ" in done.output
    assert "proved: inv(K)' is the gradient of log(det(K)) with respect to K" in done.output


def test_a_wrong_claim_exits_with_1_and_says_why() -> None:
    """The explanation, the smallest counterexample and the right derivative in the spelling of the question."""
    variables = ["--var", "A: real(m, n)", "--var", "x: real(n)", "--var", "y: real(m)"]
    done = matcalc("check", "norm(A @ x - y)**2", "--wrt", "x", "--claim", "A.T @ (A @ x - y)", *variables)
    assert done.exit_code == 1
    assert "refuted: " in done.output
    assert "scalar_factor: " in done.output
    assert "counterexample: " in done.output
    assert "right is: 2 * A.T @ (A @ x - y)" in done.output


def test_without_a_claim_it_derives() -> None:
    """And shows the steps with the rules that justify them."""
    done = matcalc("check", "x'*A*x", "--wrt", "x", "--var", "A: real(n, n)", "--var", "x: real(n)", "--steps")
    assert done.exit_code == 0
    assert "is the gradient of x'*A*x with respect to x" in done.output
    assert "the path through" in done.output
    assert "✗" not in done.output


@pytest.mark.parametrize(
    ("f", "claim", "line"),
    [
        ("x'*A*x", "A*x", "the path through x brings Aᵀx"),
        ("sum(sigmoid(A*x).^2)", "A'*(2*sigmoid(A*x))", "σ(A x): its adjoint is"),
        ("sum(outer(x, y))", "y", "sum(x yᵀ): its adjoint is"),  # what is said of it has a comma
    ],
)
def test_the_step_at_which_a_claim_leaves_is_marked(f: str, claim: str, line: str) -> None:
    """One place: that of the simplest explanation that is about one; a part of the claim, as in what is exchanged in it, is none."""
    done = matcalc(
        "check", f, "--wrt", "x", "--claim", claim, "--var", "A: real(n, n)", "--var", "x: real(n)", "--var", "y: real(n)", "--steps"
    )
    marked = [each for each in done.output.splitlines() if "←" in each]
    assert [line in each for each in marked] == [True], done.output


def test_steps_read_the_function_as_the_claim_was_read() -> None:
    """A star that the claim's spelling settles is settled for the steps too."""
    square = ["--var", "A: real(n, n)", "--var", "B: real(n, n)"]
    done = matcalc("check", "sum(A*B)", "--wrt", "A", "--claim", "ones(n, n)*B'", *square, "--steps")
    assert done.exit_code == 0, done.output
    assert "A B: its adjoint" in done.output


@pytest.mark.parametrize(("f", "kind"), [("A*X", "differential"), ("X*X", "differential"), ("trace(X*X)", "differential")])
def test_where_there_are_no_steps_it_says_so(f: str, kind: str) -> None:
    done = matcalc(
        "check", f, "--wrt", "X", "--kind", kind, "--var", "A: real(m, n)", "--var", "X: real(n, n)", "--spelling", "matlab", "--steps"
    )
    assert done.exit_code == 0, done.output
    assert "there are no steps to show: " in done.output


def test_another_word_for_a_set_is_the_set() -> None:
    """`psd` is symmetric too, in the steps as in the verdict."""
    done = matcalc("check", "log(det(K))", "--wrt", "K", "--var", "K: psd(n, n)", "--steps")
    assert done.exit_code == 0, done.output
    assert "brings K⁻¹\n" in done.output


def test_a_function_may_start_with_a_minus() -> None:
    """It is no option."""
    done = matcalc("check", "-sum(log(x))", "--wrt", "x", "--claim", "-1/x", "--var", "x: positive(n)")
    assert done.exit_code == 0, done.output


def test_json_is_one_object() -> None:
    """With the fields that graders read."""
    done = matcalc("check", "trace(A @ X)", "--wrt", "X", "--claim", "A", "--var", "A: real(n, m)", "--var", "X: real(m, n)", "--json")
    found = json.loads(done.output)
    assert found["verdict"] == "refuted"
    assert [e["class"] for e in found["explanations"]][:2] == ["shape", "transpose"]


def test_a_file_gives_a_line_for_each_claim() -> None:
    """What cannot be judged is said to be so in its own line, and the others are judged all the same."""
    claims = [SAMPLE, {**SAMPLE, "id": "c2", "claim": "inv(K).T"}, {"id": "c3"}, "nonsense", {**SAMPLE, "id": "c5", "f": "log(det(K"}]
    Path("claims.json").write_text(json.dumps(claims))
    done = matcalc("check", "--file", "claims.json")
    assert done.exit_code == 1
    found = [json.loads(line) for line in done.output.splitlines()]
    assert [one["verdict"] for one in found] == ["refuted", "proved", "inconclusive", "inconclusive", "inconclusive"]
    assert found[0]["id"] == "c1"
    assert found[0]["explanations"][0]["class"] == "transpose"
    assert found[0]["counterexample"]
    assert all(one["error"] for one in found[2:])


def test_a_reader_that_has_gone_is_no_fault_of_the_file() -> None:
    """As with `matcalc check --file claims.json | head -1`."""
    Path("claims.json").write_text(json.dumps([SAMPLE] * 40))
    command = [sys.executable, "-m", "matcalc", "check", "--file", "claims.json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.readline()
        run.stdout.close()
        assert "cannot be read" not in run.stderr.read()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["check"], "a function and --wrt are needed"),
        (["check", "x'*x"], "a function and --wrt are needed"),
        (["check", "log(det(K", "--wrt", "K"], "K"),
        (["check", "x'*x", "--wrt", "z"], "z"),
        (["check", "x'*x", "--wrt", "x", "--var", "nonsense"], "is declared as in"),
        (["check", "--file", "nowhere.json"], "nowhere.json cannot be read: No such file or directory"),
        (["check", "--file", "bad.json"], "bad.json is no JSON"),
        (["check", "--file", "binary"], "binary cannot be read: 'utf-8' codec"),
        (["graph", "x'*x", "--html", "out.html", "--at", "binary"], "binary cannot be read: 'utf-8' codec"),
        (["check", "--file", "deep.json"], "deep.json nests too deeply to be read"),
        (["notes", "binary"], "binary cannot be read: 'utf-8' codec"),
        (["check", "--file", "values.json"], "must hold a JSON list of claims"),
        (["check", "--clam", "--wrt", "x"], "there is no option --clam"),
        (["check", "x'*x", "--wrt", "x", "--file", "bad.json"], "--file brings its own functions"),
        (["graph", "x'*x", "--html", "out.html", "--at", "bad.json"], "bad.json is no JSON"),
        (["graph", "x'*x", "--html", "out.html", "--at", "list.json"], "list.json must hold an object"),
        (["graph", "x'*x", "--html", "out.html", "--at", "other.json"], "there is a value for y, but the inputs are x"),
        (["graph", "x'*A*x", "--html", "out.html", "--at", '{"x": [1, 2]}'], "A has no value"),
        (["graph", "x'*x", "--html", "out.html", "--at", '{"x": [1, 2'], "--at is no JSON"),
        (["graph", "x'*x", "--html", "out.html", "--at", "[1, 2]"], "--at must hold an object"),
        (
            ["graph", "x'*x", "--html", "out.html", "--at", "words.json"],
            "the value of x must be a number or rows of numbers of equal length",
        ),
        (
            ["graph", "inv(X)", "--html", "out.html", "--at", "zero.json"],
            "cannot be computed at these values: singular",
        ),
        (["graph", "x'*x", "--html", "out.html", "--var", "x: imaginary(n)"], "'imaginary' is no set that is known"),
        (["graph", "x'*x", "--html", "."], ". cannot be written: it is a folder, and a file was expected"),
        (["graph", "x'*x", "--html", "out.html", "--claim", "2*x"], "a claim is about the derivative with respect to one input, but 0 are"),
        (["graph", "x'*x", "--html", "out.html", "--claim", "2*", "--wrt", "x"], "the formula ends where"),
        (["notes", "nowhere.md"], "nowhere.md cannot be read: No such file or directory"),
        (["notes", "empty.md", "--html", "."], ". cannot be written: it is a folder, and a file was expected"),
    ],
)
def test_bad_input_gives_a_sentence_and_exit_status_2(arguments: list[str], sentence: str) -> None:
    """It names the culprit, and nothing is left behind."""
    Path("bad.json").write_text("{")
    Path("deep.json").write_text("[" * 100_000)
    Path("binary").write_bytes(b"\xff\xfe")
    Path("list.json").write_text("[1]")
    Path("other.json").write_text('{"y": [1]}')
    Path("values.json").write_text('{"y": [1]}')
    Path("words.json").write_text('{"x": ["a"]}')
    Path("zero.json").write_text('{"X": [[0, 0], [0, 0]]}')
    Path("empty.md").write_text("")
    done = matcalc(*arguments)
    assert done.exit_code == 2
    assert sentence in done.output
    assert "Traceback" not in done.output
    assert not Path("out.html").exists()


def test_the_choices_are_those_that_there_are() -> None:
    """They are told twice, since `matcalc --help` waits for no formula to be read."""
    from matcalc import commands
    from matcalc.claims import question
    from matcalc.formula import vocabulary

    assert set(commands.KINDS) == {"auto", *question.KINDS}
    assert set(commands.SPELLINGS) == set(vocabulary.SPELLINGS)


def test_a_claim_that_exact_arithmetic_decides_does_not_wait_for_jax() -> None:
    """Nor for anything else that is slow to import."""
    code = (
        "import sys\nfrom matcalc.cli import main\n"
        "try:\n    main(['check', 'log(det(K))', '--wrt', 'K', '--claim', 'inv(K).T'])\n"
        "except SystemExit:\n    print(sorted({'jax', 'scipy', 'torch', 'hypothesis', 'jinja2', 'rich'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


# --- graph and notes --------------------------------------------------------------------------------------------------------


def test_a_graph_is_one_file() -> None:
    """At given values, or at random ones."""
    Path("values.json").write_text(json.dumps({"x": [1, 2], "A": [[1, 2], [3, 4]]}))
    assert matcalc("graph", "x'*A*x", "--at", "values.json", "--wrt", "x", "--html", "one/out.html").exit_code == 0
    text = Path("one/out.html").read_text()
    assert text.startswith("<!doctype html>")
    assert "<svg" in text
    done = matcalc("graph", "log(det(A @ inv(P) @ A.T))", "--var", "A: real(m, n)", "--var", "P: spd(n)", "--html", "random.html")
    assert done.exit_code == 0, done.output
    assert Path("random.html").exists()
    Path("minus.json").write_text('{"a": -1}')
    assert matcalc("graph", "log(a)", "--at", "minus.json", "--html", "nan.html").exit_code == 0  # and no warning
    assert "nan" in Path("nan.html").read_text()


def test_values_may_be_typed() -> None:
    """An object instead of a file that holds it."""
    assert matcalc("graph", "x'*x", "--at", ' {"x": [3, 4]}', "--html", "out.html").exit_code == 0
    assert "25" in Path("out.html").read_text()


def test_a_drawing_shows_itself_in_a_notebook() -> None:
    """Without a script, and with the numbers of the point."""
    import matcalc

    shown = matcalc.draw("x'*A*x", {"x": [1, 2], "A": [[1, 2], [3, 4]]})._repr_html_()
    assert "<svg" in shown
    assert "<script" not in shown
    assert "27" in shown  # the value


def test_a_wrong_claim_is_marked_in_the_drawing() -> None:
    """At the edges of the paths that it forgets, or at the operation whose rule it gets wrong; a right one is not, nor a Hessian."""
    import matcalc as package

    forgotten = package.draw("x'*A*x", wrt=["x"], claim="A*x")
    assert forgotten.verdict is not None
    assert forgotten.verdict.wrong
    assert forgotten.graph.mark is not None
    assert forgotten.graph.mark.why == "the path through x is missing"
    (edge,) = (forgotten.graph.edges[k] for k in forgotten.graph.mark.edges)
    assert (forgotten.graph.nodes[edge.source].name, edge.target, edge.operand) == ("x", forgotten.graph.output.id, 2)
    wrong = package.draw("sum(sigmoid(A*x).^2)", wrt="x", claim="A'*(2*sigmoid(A*x))").graph
    assert wrong.mark is not None
    assert [wrong.nodes[k].operation for k in wrong.mark.nodes] == ["sigmoid"]
    shared = package.draw("(A*x)'*B*(A*x)", wrt="x", claim="A'*B*A*x").graph
    assert shared.mark is not None
    assert {shared.nodes[shared.edges[k].source].operation for k in shared.mark.edges} == {"matmul"}  # not x, where both begin
    assert package.draw("x'*A*x", wrt="x", claim="(A+A')*x").graph.mark is None
    assert package.draw("x'*A*x", wrt="x", claim="A+A'").graph.mark is None


def test_a_graph_says_what_is_wrong_with_a_claim() -> None:
    """The verdict in words, and the page with its mark."""
    done = matcalc("graph", "x'*A*x", "--wrt", "x", "--claim", "A*x", "--html", "out.html")
    assert done.exit_code == 1, done.output
    assert "refuted: A*x is not the gradient" in done.output
    page = Path("out.html").read_text()
    assert "the claim leaves the way back: the path through x is missing." in page
    assert page.count("they are those of the right derivative, not of the claim") == 1
    assert "First explanation: " in page
    assert "No single place" not in page


@pytest.mark.parametrize(
    ("claim", "status", "said"),
    [
        ("A + A'", 1, ("refuted", "First explanation: ", "No single place was found at which the claim leaves the way back.")),
        ("(A + A')*x", 0, ("proved",)),
    ],
)
def test_a_graph_shows_the_claim_and_the_verdict(claim: str, status: int, said: tuple[str, ...]) -> None:
    """Above the picture, whether or not a place can be marked; a drawing in a notebook shows the same."""
    import matcalc as package

    done = matcalc("graph", "x'*A*x", "--wrt", "x", "--claim", claim, "--html", "out.html")
    assert done.exit_code == status, done.output
    for page in (Path("out.html").read_text(), package.draw("x'*A*x", wrt="x", claim=claim)._repr_html_()):
        assert f'class="claimed {said[0]}"' in page
        assert all(words in page for words in said)
        assert ("right derivative" in page) == (status == 1)


def test_notes_with_an_erratum_exit_with_1() -> None:
    """And with 0 once it is put right."""
    block = "# Notes\n\n```claim\nid: 1\nf: x' A x\nwrt: x\nclaim: {claim}\nx: real(n)\nA: real(n, n)\n```\n"
    Path("notes.md").write_text(block.format(claim="2 A x"))
    done = matcalc("notes", "notes.md", "--html", "notes.html")
    assert done.exit_code == 1, done.output
    assert Path("notes.html").exists()
    Path("notes.md").write_text(block.format(claim="(A + A') x"))
    assert matcalc("notes", "notes.md").exit_code == 0
