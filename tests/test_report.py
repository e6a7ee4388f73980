"""Verdicts as pages, JSON and JUnit: what is written, what is escaped, and what is left alone."""

import json
import random
import re
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from math import inf, nan
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from matcalc.report import ReportError, check_folder, maths, plots, read_json, words, write_html, write_json, write_junit
from matcalc.report.claims import HOPE, Claim, claims_page
from matcalc.report.files import MARKER
from matcalc.report.page import _parts, index_page, slug
from matcalc.report.templating import prose, python, web
from matcalc.verdict import (
    Counterexample,
    Coverage,
    Curve,
    Digits,
    Evidence,
    Explanation,
    Problem,
    Run,
    Statement,
    Status,
    Verdict,
    Worst,
    WrongVersions,
    to_json,
)

HOSTILE = '"><img src=x onerror="window.hacked=1"></script><script>window.hacked=1</script>'
LOGDET = (r"\ell = \log\det K", r"d\ell = \operatorname{tr}(K^{-1}\,dK)", r"\bar K = \bar\ell\,K^{-\top}")
CODE = '''@rule(GILES.at("2.2.3"), K=positive_definite("n"))
def logdet(K: Array) -> Linearization[Array]:
    r"""Log-determinant of a positive definite matrix."""
    L = cholesky(K)

    def vjp(l_bar: Array) -> Array:
        return l_bar * cho_inverse(L)  # K^-T

    return Linearization(2 * total(log(diagonal(L))), jvp, vjp)
'''

# --- runs that nobody had to make -----------------------------------------------------------------------------------------


def a_verdict(
    name: str = "logdet", topic: str = "determinants", equations: tuple[str, ...] = LOGDET, largest: float = 0.01, **changes: Any
) -> Verdict:
    """A verified rule with the evidence that a real one has; `largest` is the size of its margins."""
    dice = random.Random(name)
    conditions = tuple(10 ** dice.uniform(0, 8) for _ in range(120))
    accuracies = tuple(2.2e-16 * k * 10 ** dice.uniform(-3, 0.5) * (i % 9 > 0) for i, k in enumerate(conditions))
    steps = tuple(10 ** (-12 + 0.5 * i) for i in range(24))
    curve = Curve(steps, tuple(1e-16 / h + 0.3 * h * h for h in steps), 3e-13, 8e-14)
    margins = tuple(largest * 10 ** dice.uniform(-4, 0) * (i % 9 > 0) for i in range(120))
    evidence = tuple(
        Evidence(prop, oracle, Status.VERIFIED, 120, skipped, 2.2e-10, 2.2e-10 / max(margins), 4.0, 1e6, margins, accuracies, note)
        for prop, oracle, skipped, note in [
            ("value", "JAX", 0, ""),
            ("jvp", "JAX forward", 0, ""),
            ("jvp", "finite differences", 7, "seven cases lie closer to the edge of the domain than a step"),
            ("vjp", "JAX reverse", 0, ""),
            ("adjoint", "itself", 0, ""),
        ]
    )
    verdict = Verdict(
        rule=name,
        topic=topic,
        status=Status.VERIFIED,
        summary="Log-determinant of a positive definite matrix $K$, through one Cholesky factorisation.",
        equations=equations,
        inputs={
            "K": {"tex": "K", "set": r"\mathbb{S}_{++}^{n}", "domain": "positive definite matrix (n x n)", "shape": "(n, n)", "held": False}
        },
        sources=(
            {
                "short": "Giles 2008, section 2.2.3",
                "full": "Giles 2008, section 2.2.3: An extended collection of matrix derivative results",
                "url": "",
            },
            {"short": "Seeger 2017", "full": "Seeger 2017: Auto-differentiating linear algebra", "url": "https://arxiv.org/abs/1710.08717"},
        ),
        file="rules/matcalc_rules/determinants.py",
        line=9,
        code=CODE,
        cases=120,
        seconds=1.84,
        evidence=evidence,
        conditions=conditions,
        accuracies=accuracies,
        curve=curve,
    )
    return replace(verdict, **changes)


def a_proved_verdict(name: str, topic: str, equations: tuple[str, ...], largest: float, bound: float = 4.4e-16) -> Verdict:
    """A rule that is proved, and has all that a run can find out about one."""
    verdict = a_verdict(name, topic, equations, largest)
    exact = tuple(Evidence(word, "prime field", Status.PROVED, 17, 3, bound=bound) for word in ("jvp", "vjp"))
    return replace(verdict, status=Status.PROVED, evidence=(*verdict.evidence, *exact), **found_out(survivors=()))


def found_out(survivors: tuple[str, ...]) -> dict[str, Any]:
    """A census, digits and wrong versions."""
    census = (
        Coverage("K", "repeated eigenvalues", 2, 2),
        Coverage("K", "condition 1e12", 1, 0, "differences are not sharp enough there"),
        Coverage("", "Fortran order", 1, 1),
        Coverage("", "L: repeated eigenvalues", 3, 3),
    )
    kinds = {"sign": (12 - len(survivors), 12), "transpose": (8, 8)}
    wrong = WrongVersions(20 - len(survivors), 20, 3, 1, 2, kinds, {"vjp": 15, "special": 5 - len(survivors)}, survivors, 1.5)
    return {"census": census, "digits": (Digits("float32", 8, (6.8, 4.1), (7.1, 3.6), 23.0),), "wrong": wrong}


def a_refuted_verdict() -> Verdict:
    """A rule that returns its gradient transposed, with the smallest case that shows it."""
    evidence = Evidence(
        "vjp",
        "JAX reverse",
        Status.REFUTED,
        120,
        0,
        1.4,
        2.1e-13,
        1.0,
        4.2,
        (6.7e12, 1e10, inf),
        (1.4, 0.1, nan),
        "the gradient with respect to A differs from that of JAX by 6.7e12 tolerances",
    )
    got, expected = [[0.0, -0.5, 2.0], [0.25, 1.0, 0.125], [0.0, 0.0, 3.0]], [[0.0, 0.5, 2.0], [-0.25, 1.0, 0.125], [0.0, 0.0, 3.0]]
    return a_verdict(
        "skew_product",
        "products",
        (r"C = A B - B A", r"dC = dA\,B - B\,dA", r"\bar A = \bar C B^\top - B^\top \bar C"),
        status=Status.REFUTED,
        summary="Commutator of two matrices.",
        evidence=(*a_verdict("skew_product").evidence[:3], evidence),
        reason="JAX reverse and finite differences agree with each other, and this rule's vjp disagrees with both.",
        counterexample=Counterexample(
            {"n": 3},
            {
                "A": [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]],
                "B": [[1e-3, 12.5, 1.0], [0.5, nan, 0.0], [1.0, 2.0, -inf]],
                "lam": 0.5,
            },
            got,
            expected,
            "the gradient with respect to A",
            Worst("the gradient with respect to A", (0, 1), -0.5, 0.5),
            {"rule / JAX reverse": 1.41, "rule / finite differences": 1.41, "JAX reverse / finite differences": 3e-12},
        ),
        explanations=(
            Explanation("entries", "the gradient with respect to A is right but for the entries off its diagonal", 2e-16),
            Explanation("inner_transpose", "nearly: the gradient with respect to A is U Bᵀ - B U (U: the cotangent)", 3e-4),
        ),
    )


def a_run(*more: Verdict, **changes: Any) -> Run:
    """A run with every status, problems, and rules of several topics."""
    verdicts = (
        a_verdict(),
        a_proved_verdict(
            "matmul", "products", (r"Z = X W", r"dZ = dX\,W + X\,dW", r"\bar X = \bar Z W^\top, \quad \bar W = X^\top \bar Z"), largest=0.4
        ),
        a_proved_verdict("trace", "products", (r"t = \operatorname{tr} A", r"dt = \operatorname{tr} dA", r"\bar A = \bar t\, I"), 0.0001),
        a_verdict(
            "softmax",
            "activations",
            (
                r"p_i = \frac{e^{x_i}}{\sum_j e^{x_j}}",
                r"dp = p \odot (dx - p^\top dx)",
                r"\bar x = p \odot (\bar p - p^\top \bar p)",
                r"\text{where } f(x) = \begin{cases} x & x > 0 \\ 0 & \text{otherwise} \end{cases}",
            ),
            0.002,
            evidence=(
                *a_verdict("softmax", largest=0.002).evidence,
                *(Evidence(word, "balls", Status.VERIFIED, 8, 0, 3e-72, 1e-30, 1.0, margins=(3e-42,)) for word in ("jvp", "vjp")),
            ),
            **found_out(survivors=("sign: line 7: + becomes -; differs by 1e-3 at ties",)),
        ),
        a_refuted_verdict(),
        a_verdict(
            "eigh",
            "eigenvalues",
            (r"A = U \Lambda U^\top", r"\bar A = U\left(\bar\Lambda + F \odot (U^\top \bar U)\right)U^\top"),
            status=Status.INCONCLUSIVE,
            evidence=(
                *a_verdict("eigh").evidence[:3],
                Evidence("vjp", "JAX reverse", Status.INCONCLUSIVE, 0, 120),
                Evidence("derivative", "exact arithmetic", Status.VACUOUS, 0, note="eigh has no exact form"),
            ),
            curve=None,
            reason="Both oracles lose all digits where eigenvalues lie close together.",
        ),
        a_verdict(
            "empty_sum",
            "products",
            (r"s = \sum_i x_i",),
            status=Status.VACUOUS,
            evidence=(),
            conditions=(),
            accuracies=(),
            curve=None,
            cases=0,
            reason="No case was drawn, so there was nothing to check.",
        ),
        *more,
    )
    run = Run(
        verdicts,
        (Problem("rules/matcalc_rules/broken.py", "line 12: inv_product has no source; name the work it is taken from"),),
        20261120,
        "default",
        "matcalc verify --seed 20261120 --profile default",
        "2026-11-21T10:35:00+00:00",
        372.4,
        {"Python": "3.11.2", "NumPy": "2.4.0", "JAX": "0.10.2", "matcalc": "0.1.0"},
        "Linux x86_64, 2 cores",
        selected=len(verdicts),
    )
    return replace(run, **changes)


def a_hostile_verdict() -> Verdict:
    """A rule all of whose strings try to break out of the page."""
    return a_verdict(
        HOSTILE,
        HOSTILE,
        (HOSTILE, rf"\text{{{HOSTILE}}}", r"\href{javascript:alert(1)}{x}", "\\unknown \u202e"),
        summary=f"${HOSTILE}$ {HOSTILE} \u202e\x00\ud800",
        inputs={HOSTILE: {"tex": HOSTILE, "set": HOSTILE, "domain": HOSTILE, "shape": HOSTILE, "held": True}},
        sources=(
            {"short": HOSTILE, "full": HOSTILE, "url": "javascript:alert(1)"},
            {"short": "x", "full": "x", "url": f"https://x/{HOSTILE}"},
        ),
        file=HOSTILE,
        code=f'"""{HOSTILE}"""\n# {HOSTILE}\n',
        status=Status.REFUTED,
        reason=HOSTILE,
        evidence=(Evidence(HOSTILE, HOSTILE, Status.REFUTED, 1, note=HOSTILE, margins=(nan, inf), errors=(nan, 0.0), worst_error=nan),),
        counterexample=Counterexample(
            {HOSTILE: 1}, {HOSTILE: "x" * 100_000}, [1.0, HOSTILE], [[]], HOSTILE, Worst(HOSTILE, (0, 1, 2), nan, 0.0), {HOSTILE: nan}
        ),
        explanations=(Explanation(HOSTILE, HOSTILE, nan, HOSTILE),),
        census=(Coverage(HOSTILE, HOSTILE, 1, 0, HOSTILE),),
        digits=(Digits(HOSTILE, 1, (nan, inf), None, nan),),
        wrong=WrongVersions(0, 1, 1, 1, 1, {HOSTILE: (0, 1)}, {HOSTILE: 1}, (HOSTILE,), 1.0, HOSTILE),
    )


class Page(HTMLParser):
    """Elements, links, ids and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes an element, where it leads and how it is called."""
        self.elements.append((tag, dict(attrs)))
        self.links += [value for name, value in attrs if value and name in {"href", "src"}]
        self.ids += [value for name, value in attrs if value and name == "id"]

    def handle_data(self, data: str) -> None:
        """Notes what is read."""
        self.words.append(data)

    @property
    def text(self) -> str:
        """What is read, in one line."""
        return " ".join(" ".join(self.words).split())


# --- the folder -------------------------------------------------------------------------------------------------------------


def test_a_report_is_a_folder_of_linked_pages(tmp_path: Path) -> None:
    """Every page of every rule exists, and every link leads somewhere inside the folder or to the web."""
    index = write_html(a_run(a_hostile_verdict()), tmp_path / "report")
    assert index == tmp_path / "report" / "index.html"
    pages = {path: Page(path) for path in index.parent.rglob("*.html")}
    assert len(pages) == 10
    for path, page in pages.items():
        assert len(page.ids) == len(set(page.ids)), path
        for link in page.links:
            if link.startswith("https://"):
                continue
            assert not re.match(r"[a-z]+:|/", link), link
            target, _, fragment = link.partition("#")
            reached = (path.parent / target).resolve() if target else path
            assert reached.is_file(), link
            if fragment and "=" not in fragment:
                assert fragment in pages[reached].ids, link
    assert {path.name for path in index.parent.iterdir()} == {
        "index.html",
        "claims.html",
        "rules",
        "assets",
        "results.json",
        ".gitignore",
        MARKER,
    }
    assert "OFL.txt" in {path.name for path in (index.parent / "assets").iterdir()}


def test_failures_come_first_then_the_closest_to_the_tolerance() -> None:
    """The order of the index is: refuted, inconclusive, vacuous, verified, proved, and in each the largest margin first."""
    names = [page.verdict.rule for page in index_page(a_run()).pages]
    assert names == ["skew_product", "eigh", "empty_sum", "logdet", "softmax", "matmul", "trace"]


def test_the_statement_of_the_index_is_the_adjoint() -> None:
    """The equation for the adjoint stands for a rule, in its parts, and the first where there is none."""
    pages = {page.verdict.rule: page for page in index_page(a_run()).pages}
    assert pages["logdet"].statement == (LOGDET[2],)
    assert pages["matmul"].statement == (r"\bar X = \bar Z W^\top", r"\bar W = X^\top \bar Z")
    assert pages["empty_sum"].statement == (r"s = \sum_i x_i",)
    assert [f.label for f in pages["softmax"].formulas] == ["Value", "Differential", "Adjoint", "where"]
    braced = r"a = \{x, \quad y\}, \quad b = \begin{cases} x & \quad y \end{cases}, \qquad \text{for \quad z}"
    assert list(_parts(braced)) == [r"a = \{x", r"y\}", r"b = \begin{cases} x & \quad y \end{cases}", r"\text{for \quad z}"]


def test_a_failing_page_says_what_differs(tmp_path: Path) -> None:
    """Reason, worst entry, both values, their ratio, votes and the way to see it again stand on the page."""
    text = Page(write_html(a_run(), tmp_path / "r").parent / "rules" / "skew_product.html").text
    for words_ in (
        "disagrees with both",
        "[0, 1]",
        "-0.5",
        "ratio -1",
        "n = 3",
        "rule / JAX reverse",
        "1.4",
        "(differs most)",
        "-infinite",
        "not a number",
    ):
        assert words_ in text
    assert "matcalc verify --seed 20261120 --profile default -k skew_product" in text


def stated(verdict: Verdict, *status: Status) -> Verdict:
    """The rule with its equations executed, and what came of them."""
    return replace(verdict, statements=tuple(Statement(verdict.equations[k], k, one, 1e-16) for k, one in enumerate(status)))


GOOD, FALSE, SILENT = Status.VERIFIED, Status.REFUTED, Status.VACUOUS


@pytest.mark.parametrize(
    ("verdicts", "sentence"),
    [
        ([], ""),
        ([a_verdict(equations=())], ""),
        ([a_verdict()], ""),
        ([stated(a_verdict(), GOOD, GOOD, GOOD)], "3 printed equations executed beside the code: all agree."),
        (
            [stated(a_verdict(), GOOD, FALSE, SILENT)],
            "Of 3 printed equations executed beside the code, 1 agree, 1 do not and 1 cannot be executed.",
        ),
        (
            [stated(a_verdict(status=Status.REFUTED), GOOD, FALSE)],
            "Of 2 printed equations executed beside the code, 1 agree and 1 do not.",
        ),
        (
            [stated(a_refuted_verdict(), GOOD, GOOD)],
            "2 printed equations executed beside the code: all agree. They say what the code does, and the code is refuted.",
        ),
        (
            [stated(a_refuted_verdict(), GOOD, GOOD), stated(a_verdict(), GOOD), a_verdict("trace"), a_verdict(equations=())],
            (
                "3 printed equations of 2 rules executed beside the code: all agree. "
                "They say what the code does, and that of 1 rule is refuted. Those of 1 rule were not executed."
            ),
        ),
    ],
)
def test_of_what_the_equations_speak_is_said(verdicts: list[Verdict], sentence: str) -> None:
    """Of how many rules, and whether their code is right: an equation that agrees with wrong code is wrong too."""
    assert words.executed(verdicts) == sentence


def test_an_equation_of_refuted_code_gets_no_tick(tmp_path: Path) -> None:
    """It says what the code does; one that was misprinted beside good code leaves the others their ticks."""
    run = a_run(
        stated(replace(a_refuted_verdict(), rule="code"), GOOD, GOOD, GOOD),
        stated(a_verdict("print", status=Status.REFUTED), GOOD, GOOD, FALSE),
    )
    folder = write_html(run, tmp_path / "r").parent / "rules"
    code, misprint = ((folder / f"{name}.html").read_text(encoding="utf-8") for name in ("code", "print"))
    assert 'class="ran verified"' not in code
    assert code.count("executed: says what the refuted code does</span>") == 3
    assert misprint.count('class="ran verified"') == 2
    assert misprint.count('class="ran refuted"') == 1


def test_what_was_not_measured_is_a_dash(tmp_path: Path) -> None:
    """A rule that raises has no margin, no error and no tolerance, on its page and in the table of all rules."""
    raised = a_refuted_verdict()
    raised = replace(raised, rule="raises", evidence=(Evidence("vjp", "itself", Status.REFUTED, 1, note="raises.vjp raises ValueError"),))
    index = write_html(a_run(raised), tmp_path / "r")
    page = Page(index.parent / "rules" / "raises.html").text
    assert "margin –" in page
    assert "The printed equations were not executed." in page
    row = re.search(r'<th scope="row">vjp</th>.*?</tr>', (index.parent / "rules" / "raises.html").read_text(encoding="utf-8"))
    assert row is not None
    assert row[0].count('<td class="n">–</td>') == 3
    assert re.search(r'raises</a>.*?<span class="n">–</span>', index.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_every_string_is_escaped(tmp_path: Path) -> None:
    """Names, formulas, sources, code and numbers of a rule cannot become markup, links or scripts."""
    folder = write_html(
        a_run(a_hostile_verdict(), problems=(Problem(HOSTILE, HOSTILE),), machine=HOSTILE, command=HOSTILE), tmp_path / "r"
    ).parent
    for path in folder.rglob("*.html"):
        for tag, attributes in Page(path).elements:
            assert tag not in {"img", "iframe", "object", "style"}, path
            assert tag != "script" or set(attributes) <= {"src", "defer"}, path
            assert not [name for name in attributes if name == "style" or name.startswith("on")], path
            assert not attributes.get("href", "").startswith("javascript"), path
        raw = path.read_text(encoding="utf-8")
        assert "\u202e" not in raw
        assert "\x00" not in raw
        assert len(raw) < 200_000


def test_a_hostile_name_stays_inside_the_folder() -> None:
    """A page is called by letters, digits and a mark, whatever its rule is called; names that differ stay apart."""
    assert slug("logdet") == "logdet"
    names = ["../../etc/passwd", HOSTILE, "con", "QR", "qr", "é", "è", "", "a" * 500, "\ud800"]
    assert all(re.fullmatch(r"[a-z0-9_-]{1,60}", slug(name)) for name in names)
    assert len({slug(name) for name in names}) == len(names)


def test_two_rules_of_one_name_are_refused(tmp_path: Path) -> None:
    """One page cannot hold two verdicts, and dropping one in silence could hide a failure."""
    with pytest.raises(ReportError, match="two verdicts of this run are about a rule called logdet"):
        write_html(a_run(a_verdict()), tmp_path / "r")
    assert not list(tmp_path.iterdir())


def test_a_report_replaces_a_report_and_keeps_what_is_not_its_own(tmp_path: Path) -> None:
    """Pages of rules that are gone go; a guest's files stay."""
    folder = tmp_path / "r"
    write_html(a_run(), folder)
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("mine")
    write_html(a_run(verdicts=(a_verdict(),)), folder)
    assert [path.name for path in (folder / "rules").iterdir()] == ["logdet.html"]
    assert (folder / "notes" / "mine.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_a_folder_with_a_readme_may_be_used(tmp_path: Path) -> None:
    """README.md and .gitignore are kept as they are."""
    (tmp_path / "README.md").write_text("read me")
    (tmp_path / ".gitignore").write_text("mine")
    for _ in range(2):
        write_html(a_run(), tmp_path)
        assert (tmp_path / "README.md").read_text() == "read me"
        assert (tmp_path / ".gitignore").read_text() == "mine"


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """A folder that holds other files and no report of ours is refused in one sentence."""
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ReportError, match=r"holds thesis\.tex and no report of matcalc"):
        write_html(a_run(), tmp_path)
    with pytest.raises(ReportError, match="it is a file, and a folder was expected"):
        check_folder(tmp_path / "thesis.tex")
    check_folder(tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_report_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing half-written is ever left."""
    folder = tmp_path / "r"
    before = write_html(a_run(), folder).read_bytes()
    monkeypatch.setattr("matcalc.report.html.index", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_html(a_run(seed=2), folder)
    assert (folder / "index.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_an_empty_run_and_an_interrupted_one_say_so(tmp_path: Path) -> None:
    """No verdicts is not a success, and what an interrupted run left out is said."""
    empty = Page(write_html(a_run(verdicts=(), selected=0), tmp_path / "empty")).text
    assert "No rule was verified" in empty
    assert "This run judged no rule." in empty
    cut = Page(write_html(a_run(interrupted=True, selected=40), tmp_path / "cut")).text
    assert "It judged 7 of 40 rules" in " ".join(cut.split())


# --- what exact arithmetic, special points, short formats and wrong versions say --------------------------------------------------


def test_a_rules_page_says_how_it_was_proved_and_where_it_was_looked_at(tmp_path: Path) -> None:
    """The bound of a proof, the census, the digits and the wrong versions stand on the page, and what is missing is not made up."""
    folder = write_html(a_run(), tmp_path / "r").parent / "rules"
    proved = Page(folder / "matmul.html")
    assert "a wrong rule would pass with a probability of at most" in proved.text
    assert "10^{-15}" in {attributes.get("alttext") for tag, attributes in proved.elements if tag == "math"}
    assert "4 kinds of special points, 3 judged, 7 points" in proved.text
    assert proved.text.index("condition 1e12") < proved.text.index("Fortran order")
    assert "the rule keeps 6.8 decimal digits at the median and 4.1 at the worst; JAX's own derivative keeps 7.1 and 3.6" in proved.text
    assert "20 of 20 wrong versions, made by machine, refuted." in proved.text
    balls = Page(folder / "softmax.html").text
    assert "Not proved, but balls of real numbers agree to 71 digits" in balls
    assert "line 7: + becomes -" in balls
    plain = Page(folder / "logdet.html")
    assert not {"census", "digits", "wrong"} & set(plain.ids)
    assert "exact arithmetic:" not in plain.text


def test_the_digits_of_a_wrong_rule_are_not_shown(tmp_path: Path) -> None:
    """They are digits of what it gives in double precision itself, beside which JAX's right derivative would look wrong."""
    wrong = replace(a_refuted_verdict(), rule="wrong", digits=(Digits("float32", 8, (7.2, 7.2), (0.0, 0.0), 0.1),))
    whole = index_page(a_run(wrong))
    assert [page.digits for page in whole.pages if page.verdict.rule == "wrong"] == [""]
    assert "digits" not in Page(write_html(a_run(wrong), tmp_path / "r").parent / "rules" / "wrong.html").ids
    told = [note for claim in claims_page(whole, "").claims for note in claim.notes if "digits as" in note]
    assert told == [note for claim in claims_page(index_page(a_run()), "").claims for note in claim.notes if "digits as" in note]


def test_a_bound_is_never_rounded_down() -> None:
    """A probability is shown as the next larger power of ten, and balls as no more digits than they have."""
    assert [words.power_of_ten(x) for x in (4.4e-16, 1e-17, 1.0001e-17, 0.0)] == ["$10^{-15}$", "$10^{-17}$", "$10^{-16}$", "0"]
    assert [words.whole_digits(x) for x in (3e-72, 1e-30, 0.0, nan, inf, 2.0)] == [71, 30, 99, 0, 0, 0]


# --- claims -----------------------------------------------------------------------------------------------------------------


def claims_by_words(run: Run) -> dict[str, Claim]:
    """The claims of a run by a word of their sentences."""
    found = claims_page(index_page(run), "").claims
    keys = ["JAX's own", "finite differences", "exact arithmetic", "balls", "factors", "special", "second", "wrong versions"]
    return {key: claim for key in keys for claim in found if key in claim.sentence}


def test_a_claim_counts_what_speaks_for_it_and_names_the_exceptions() -> None:
    """Rules that an oracle refutes, cannot judge or did not look at are no part of what is claimed."""
    claims = claims_by_words(a_run())
    jax = claims["JAX's own"]
    assert (jax.status, jax.tally) == (Status.REFUTED, "4 of 6")
    assert [link.name for link in jax.against] == ["skew_product"]
    assert [link.name for link in jax.unsure] == ["eigh"]
    assert [link.name for link in jax.absent] == ["empty_sum"]
    assert "480 cases" in jax.sentence
    exact = claims["exact arithmetic"]
    assert (exact.status, exact.tally) == (Status.PROVED, "2 of 2")
    assert "at most $10^{-15}$" in exact.notes[0]
    assert claims["balls"].sentence == "The one rule looked at agrees in balls of real numbers, to 71 digits or more."
    assert "21 points of 3 kinds in 3 verified rules" in claims["special"].notes[0]
    assert "second" not in claims


def test_one_wrong_row_is_an_exception() -> None:
    """A rule that is right in nine ways and wrong in the tenth holds nowhere that the tenth belongs to."""
    good = a_proved_verdict("good", "t", LOGDET, 0.1)
    bad = replace(good, rule="bad", evidence=(*good.evidence, Evidence("vjp", "prime field", Status.REFUTED, 1)))
    exact = claims_by_words(a_run(verdicts=(good, bad)))["exact arithmetic"]
    assert (exact.status, exact.word, exact.sentence) == (Status.REFUTED, "has exceptions", "1 of 2 rules is proved in exact arithmetic.")
    none = claims_by_words(a_run(verdicts=(bad,)))["exact arithmetic"]
    assert none.sentence == "No rule is proved in exact arithmetic."
    assert not any(none.notes)


def test_wrong_versions_are_counted_or_said_to_be_untried() -> None:
    """Survivors are exceptions; a run without wrong versions says how to try them."""
    tried = claims_page(index_page(a_run()), "")
    assert (tried.claims[-1].status, tried.claims[-1].tally) == (Status.REFUTED, "59 of 60")
    assert [link.name for link in tried.claims[-1].against] == ["softmax"]
    assert {row.name: row.numbers for row in tried.mistakes} == {"sign": (35, 36), "transpose": (24, 24)}
    assert {row.name: row.numbers for row in tried.hunters} == {"vjp": (45,), "special": (14,)}
    assert [link.name for link, _ in tried.survivors] == ["softmax"]
    untried = claims_page(index_page(a_run(verdicts=(a_verdict(),))), "")
    assert untried.claims[-1].status is Status.VACUOUS
    assert "matcalc verify --wrong" in untried.claims[-1].notes[0]
    assert any("wrong versions would show it" in sentence for sentence, _ in untried.refused)


def test_what_is_not_claimed_names_its_rules() -> None:
    """Inconclusive rules, rules without cases or without an exact form, and rules that were not reached are named or counted."""
    refused = dict(claims_page(index_page(a_run(interrupted=True, selected=40)), "").refused)
    named = {sentence: [link.name for link in links] for sentence, links in refused.items() if links}
    assert ["eigh"] in named.values()
    assert ["empty_sum"] in named.values()
    assert ["softmax", "matmul", "trace"] in named.values()
    assert any(sentence.startswith("Anything of 33 rules") for sentence in refused)
    assert any("complex and sparse" in sentence for sentence in refused)


def test_the_claims_page_stands_on_the_results_beside_it(tmp_path: Path) -> None:
    """Its digest is that of results.json, its grid leaves no cell blank, and an empty run claims nothing."""
    folder = write_html(a_run(), tmp_path / "r").parent
    page = Page(folder / "claims.html")
    assert sha256((folder / "results.json").read_bytes()).hexdigest() in page.text
    cells = [attributes.get("class") or "" for tag, attributes in page.elements if tag == "td"]
    assert sum("never" in cell for cell in cells) == page.words.count("never") > 0
    assert "index.html#topic=products&oracle=prime%20field" in page.links
    empty = claims_page(index_page(a_run(verdicts=(), selected=0)), "")
    assert [claim.status for claim in empty.claims] == [Status.VACUOUS]
    assert not empty.grid


def test_the_chance_that_a_wrong_entry_hides_is_what_the_page_says() -> None:
    """Simulated: one wrong entry of a gradient, seen through its product with a Gaussian tangent, beside the formula."""
    dice, tolerance = np.random.default_rng(0), 1e-3
    for n, m in ((36, 36), (100, 4), (9, 81)):
        jacobian, missed = dice.standard_normal((m, n)), []
        for _ in range(300):
            u, v = dice.standard_normal(m), dice.standard_normal((200, n))
            size = float(np.linalg.norm(jacobian.T @ u))
            allowed = np.linalg.norm(v @ jacobian.T, axis=1) * np.linalg.norm(u) + size * np.linalg.norm(v, axis=1)
            missed.append(np.mean(size / n**0.5 * np.abs(v[:, 0]) < tolerance * allowed))
        assert np.mean(missed) == pytest.approx(HOPE * tolerance * (n + (m * n) ** 0.5), rel=0.1)


# --- JSON and JUnit ---------------------------------------------------------------------------------------------------------


def test_json_is_standard_and_carries_a_run_both_ways(tmp_path: Path) -> None:
    """Numbers that are not finite go through as words, and come back as numbers; a rule called inf stays a name."""
    run = a_run(replace(a_refuted_verdict(), rule="inf", conditions=(nan, inf, 1.0)), seconds=inf)
    write_json(run, tmp_path / "deep" / "results.json")
    text = (tmp_path / "deep" / "results.json").read_text()
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    again = read_json(tmp_path / "deep" / "results.json")
    assert to_json(again) == to_json(run)
    assert again.seconds == inf
    assert again.verdicts[-1].conditions[1] == inf
    assert again.verdicts[-1].rule == "inf"
    assert again.verdicts[-1].counterexample.inputs["B"][2][2] == -inf
    assert again.verdicts[0] == run.verdicts[0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "Expecting property name"),
        ("[]", "list"),
        ('{"schema": 99}', "schema 99 came"),
        ('{"schema": 3}', "verdicts is missing"),
        (None, "No such file"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, text: str | None, sentence: str) -> None:
    """What is no results file is refused with its path and the reason."""
    path = tmp_path / "results.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ReportError, match=sentence) as raised:
        read_json(path)
    assert str(path) in str(raised.value)


def test_a_file_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ReportError, match=r"results\.json cannot be read: 'utf-8' codec"):
        read_json(tmp_path / "results.json")


def test_writing_is_whole_or_not_at_all(tmp_path: Path) -> None:
    """A place that cannot be written is one sentence, and no temporary file stays."""
    with pytest.raises(ReportError, match="it is a folder, and a file was expected"):
        write_json(a_run(), tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(ReportError, match="cannot be written"):
        write_json(a_run(), tmp_path / "file" / "results.json")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_junit_has_a_case_for_each_property_and_oracle(tmp_path: Path) -> None:
    """Refuted is a failure with its sentence, a problem an error, and what showed nothing is skipped; the sums are right."""
    write_junit(a_run(a_hostile_verdict()), tmp_path / "junit.xml")
    root = ET.parse(tmp_path / "junit.xml").getroot()
    cases = root.findall(".//testcase")
    assert int(root.get("tests")) == len(cases) == sum(int(suite.get("tests")) for suite in root)
    assert int(root.get("failures")) == len(root.findall(".//failure")) == 2
    assert int(root.get("errors")) == len(root.findall(".//error")) == 1
    assert int(root.get("skipped")) == len(root.findall(".//skipped")) == 3  # two lines of eigh, and empty_sum
    failure = next(case for case in cases if case.get("classname") == "products.skew_product" and case.find("failure") is not None)
    assert failure.get("name") == "vjp beside JAX reverse"
    assert "6.7e12 tolerances" in failure.find("failure").get("message")


# --- pieces -----------------------------------------------------------------------------------------------------------------


def test_formulas_keep_to_the_list() -> None:
    """A bar is an accent, styles become classes, and the TeX stays as alternative text."""
    assert '<mover accent="true">' in maths.typeset(r"\bar K")
    assert 'alttext="\\bar K"' in maths.typeset(r"\bar K")
    cases = maths.typeset(r"\begin{cases} x & y \\ z & w \end{cases} \operatorname{tr}(A)", display=True)
    assert 'class="m-left m-pr0"' in cases
    assert " style=" not in cases
    assert "<script>" not in maths.typeset(r"\text{<script>alert(1)</script>}")


@pytest.mark.parametrize(
    "tex",
    [
        r"\unknown x",
        r"\href{javascript:alert(1)}{x}",
        r"\color{red} x",
        r"\eqref{a}",
        r"\overline{AB}",
        r"\begin{matrix} a",
        "a \x00",
        "a $ b",
        r"\frac",
    ],
)
def test_what_is_no_formula_is_one_sentence(tex: str) -> None:
    """Unknown commands, links, colours and bars that browsers lose are refused, and the page shows the TeX instead."""
    with pytest.raises(maths.MathsError) as raised:
        maths.typeset(tex)
    assert "\n" not in str(raised.value)


def test_random_tex_is_typeset_or_refused() -> None:
    """Whatever the TeX, the output keeps to the list or there is a MathsError."""
    dice = random.Random(1)
    pieces = [
        r"\bar",
        r"\frac",
        "{",
        "}",
        "^",
        "_",
        "x",
        r"\text",
        "<b>",
        "&",
        r"\\",
        r"\begin{pmatrix}",
        r"\end{pmatrix}",
        r"\left(",
        r"\right)",
        "$",
        "%",
        "#",
        r"\newcommand",
        r"\sum",
    ]
    typeset = 0
    for _ in range(3000):
        try:
            markup = maths.typeset(" ".join(dice.choices(pieces, k=dice.randint(1, 8))))
        except maths.MathsError:
            continue
        typeset += 1
        assert {element.tag for element in ET.fromstring(markup).iter()} <= maths._ELEMENTS
    assert typeset > 100


def test_prose_code_and_links_are_escaped() -> None:
    """Formulas in sentences are typeset, code is coloured, and only web addresses become links."""
    assert prose("a < $K$") == f"a &lt; {maths.typeset('K')}"
    assert prose("3e-13 or <1") == '<span class="whole">3e-13</span> or &lt;1'
    assert "&lt;b&gt;" in python("x = '<b>'")
    assert [web("https://x"), web("javascript:x"), web("")] == ["https://x", "", ""]


def test_numbers_read_well() -> None:
    """Two digits, no padding of exponents, and words for what is no number."""
    shown = [words.number(x) for x in (0.0, 2.2e-10, 0.351, 1.0, 12345.0, inf, -inf, nan)]
    assert shown == ["0", "2.2e-10", "0.35", "1", "1.2e4", "infinite", "-infinite", "not a number"]
    assert [words.duration(x) for x in (0.44, 12.0, 61.0, 7260.0)] == ["0.4 s", "12 s", "1 min 1 s", "2 h 1 min"]
    assert words.clean("a\x00\u202eb") == "a\\u0000\\u202eb"
    assert len(words.clean("x" * 1_000_000)) < 21_000


@pytest.mark.parametrize("values", [(), (nan,), (0.0,), (0.0, 0.0, 1e-300), (inf, 1.0), (1e300, 1e-300), (-1.0, 2.0)])
def test_plots_take_any_numbers(values: tuple[float, ...]) -> None:
    """Zeros, infinities and what is no number are drawn or left out, never an error, and no coordinate is off the picture."""
    made = [plots.margins(values), plots.error_against_condition(values, values), plots.step_curve(Curve(values, values, nan, 0.0))]
    for plot in filter(None, made):
        root = ET.fromstring(plot.svg)
        assert root.get("role") == "img"
        for x in re.findall(r' (?:x|y|cx|cy|width|height)="(-?[\d.]+)"', plot.svg):
            assert -1 <= float(x) <= plots.WIDTH


@pytest.mark.parametrize("best", [0, 11, 23])
def test_the_label_of_a_point_lies_inside_the_axes(best: int) -> None:
    """Also where the point lies at an end, so that the label does not lie on the numbers of an axis."""
    steps = tuple(10 ** (-12 + 0.5 * i) for i in range(24))
    plot = plots.step_curve(Curve(steps, tuple(1e-9 if i == best else 1e-3 for i in range(24)), 3e-13, 8e-14))
    assert plot is not None
    found = re.search(r'<text class="halo lab1" x="([\d.]+)" y="[\d.]+" text-anchor="middle">([^<]+)<', plot.svg)
    assert found is not None
    half = 6.5 * len(found[2]) / 2
    assert float(found[1]) - half > plots.LEFT
    assert float(found[1]) + half < plots.WIDTH - plots.RIGHT


def test_the_room_needs_no_array_library() -> None:
    """Pages can be made where no framework is installed: the report imports none."""
    code = "import matcalc.report, sys; print([m for m in ('jax', 'numpy', 'hypothesis', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)
    assert done.stdout.strip() == "[]"
