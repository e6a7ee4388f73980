"""Files of rules as a user writes them, right and wrong, for the tests of what reads and runs them."""

from pathlib import Path

from matcalc.catalogue import AnyRule
from matcalc.verdict import Evidence, Status, Verdict

HEAD = """\
from matcalc.array import inner
from matcalc.domain import real
from matcalc.rule import Linearization, rule
from matcalc.source import COOKBOOK
"""


def a_rule(
    name: str,
    *,
    sources: str = "COOKBOOK, ",
    argument: str = "x",
    statement: str = r"$$ s = x^\top x $$",
    first: str = "pass",
    jvp: str = "2 * inner(x, dx)",
    vjp: str = "2 * s_bar * x",
) -> str:
    """A rule for the squared norm of a vector; the arguments say what is wrong with it."""
    return f'''

@rule({sources}{argument}=real("n"))
def {name}(x):
    r"""Squared norm of a vector.

    {statement}
    """
    {first}
    return Linearization(inner(x, x), lambda dx: {jvp}, lambda s_bar: {vjp})
'''


RIGHT = HEAD + a_rule("right")

UNREADABLE = {  # file -> (its text, what must be said of it)
    "no_source": (HEAD + a_rule("no_source", sources=""), "no_source has no source"),
    "no_statement": (HEAD + a_rule("no_statement", statement="It has none."), "no_statement states nothing"),
    "wrong_argument": (HEAD + a_rule("wrong_argument", argument="y"), "wrong_argument takes (x) but gives domains for (y)"),
    "syntax_error": (HEAD + "\n\n@rule(\ndef broken(x:\n", "syntax_error.py, line 8"),
    "missing_module": ("import no_such_module_at_all\n" + RIGHT, "No module named 'no_such_module_at_all'"),
    "leaves_at_once": ("import sys\nsys.exit('bye')\n" + RIGHT, "bye"),
}

REFUTED = {  # rule -> (its text, what must be said of it)
    "wrong_sign": (a_rule("wrong_sign", vjp="-2 * s_bar * x"), "vjp of wrong_sign"),
    "raising": (a_rule("raising", first="raise ZeroDivisionError('no such luck')"), "raising raises ZeroDivisionError"),
    "not_a_number": (a_rule("not_a_number", jvp="float('nan') * inner(x, dx)"), "not_a_number"),
    "wrong_shape": (a_rule("wrong_shape", vjp="(s_bar * x)[:, None]"), "shape"),
    "mutating": (a_rule("mutating", first="x *= 1.5"), "mutating changes its input x"),
}

LOST = {  # rule -> (its text, what must be said of it)
    "crashing": (a_rule("crashing", first="__import__('os')._exit(7)"), "ended the process that verified it (exit status 7)"),
    "leaving": (a_rule("leaving", first="raise SystemExit(3)"), "leaving"),
}

IN_WORKERS = """\
import sys
if "spawn_main" in " ".join(sys.orig_argv):
    import types
    from matcalc.verdict import Status, Verdict
    stand_in = sys.modules["matcalc.verify"] = types.ModuleType("matcalc.verify")
    stand_in.prepare = lambda *, cache: None
    def verify(rule, *, seed, profile):
        {body}
        return Verdict(rule.name, rule.topic, Status.VERIFIED, "", (), {{}}, (), "", 0, "", 1, 0.0)
    stand_in.verify = verify
"""
"A `sitecustomize.py` that puts a verifier of one line in the place of the real one, in workers only: they start in no time."


def write_all(folder: Path) -> None:
    """One right rule and every wrong one, in files of one folder."""
    (folder / "good.py").write_text(RIGHT)
    (folder / "bad.py").write_text(HEAD + "".join(text for text, _ in [*REFUTED.values(), *LOST.values()]))
    for name, (text, _) in UNREADABLE.items():
        (folder / f"{name}.py").write_text(text)


def verdict_on(rule: AnyRule, status: Status = Status.VERIFIED, reason: str = "", evidence: tuple[Evidence, ...] = ()) -> Verdict:
    """A verdict that nobody computed."""
    return Verdict(
        rule=rule.name,
        topic=rule.topic,
        status=status,
        summary=rule.summary,
        equations=rule.equations,
        inputs={},
        sources=(),
        file="a/file.py",
        line=7,
        code="",
        cases=3,
        seconds=0.1,
        evidence=evidence,
        reason=reason,
    )
