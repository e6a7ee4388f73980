"""Numbers and strings as a reader can take them in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations
from math import ceil, floor, inf, isfinite, isnan, log10

from matcalc.verdict import Status, Verdict

_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
LONGEST = 20_000


def clean(text: str) -> str:
    """The text with its control, direction and surrogate characters spelled out, and without what follows LONGEST characters.

    Such characters could hide or reorder what a page says, and XML does not allow them.
    """
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]} ... ({len(text) - LONGEST} more characters)"
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def number(x: float, digits: int = 2) -> str:
    """A measured number with this many digits: 2.2e-10, 0.35, 0, infinite, not a number."""
    if isnan(x):
        return "not a number"
    if not isfinite(x):
        return "infinite" if x > 0 else "-infinite"
    short = f"{x:.{digits}g}"
    if "e" in short:
        mantissa, _, exponent = short.partition("e")
        return f"{mantissa}e{int(exponent)}"
    return short


def count(n: int, noun: str) -> str:
    """`1 rule`, `2 rules`, `12 000 cases`."""
    return f"{spaced(n)} {noun}" + ("" if n == 1 else "s")


def spaced(n: int) -> str:
    """A whole number in groups of three digits."""
    return f"{n:,}".replace(",", "\u202f")


def duration(seconds: float) -> str:
    """Seconds as a clock would say them: 0.4 s, 12 s, 3 min 5 s."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def power_of_ten(x: float) -> str:
    """A small positive bound as the next larger power of ten, for `prose`: 4.4e-16 is below 10^-15."""
    return f"$10^{{{ceil(round(log10(x), 9))}}}$" if 0 < x < 1 else number(x)


def whole_digits(error: float) -> int:
    """How many decimal digits are right at this relative error, 99 at most."""
    return max(0, floor(-log10(max(error, 1e-99)))) if isfinite(error) else 0


# --- what was checked, and how ---------------------------------------------------------------------------------------------------

ORACLES = {
    "JAX": "the same function on JAX",
    "JAX forward": "JAX's forward derivative of the function alone",
    "JAX reverse": "JAX's reverse derivative of the function alone",
    "finite differences": "central differences, extrapolated, with an estimate of their own error",
    "one-sided differences": "differences to both sides of a kink",
    "complex step": "an imaginary step, exact to rounding for analytic functions",
    "prime field": "exact arithmetic modulo a prime: a proof up to a probability",
    "balls": "real numbers in balls of at least 256 bits that hold them for certain",
    "factors first": "inputs built from factors that were chosen, and so are known",
    "double precision": "the rule itself in float64, which the others judge",
    "PyTorch": "the same rule on PyTorch",
    "itself": "what must hold between the rule's own answers",
}
"""What each oracle is, in the order in which they are shown."""
PROPERTIES = {
    "value": "the value is right",
    "jvp": "the forward derivative is right",
    "vjp": "the reverse derivative is right",
    "adjoint": "the vjp is the adjoint of the jvp",
    "linear": "jvp and vjp are linear",
    "jacobian": "a Jacobian in closed form contracts to the vjp",
    "structure": "a gradient has no entries where its input has none",
    "special": "the derivative is right at ties, zeros, repeated eigenvalues and other special points",
    "kink": "where the function has a kink, the answer lies between its one-sided derivatives",
    "extremes": "nothing raises or becomes nan at scales 1e-150 and 1e150",
    "second": "the vjp, differentiated again, gives the second derivative",
    "gauge": "what is built back from the factors moves as the input does, whichever factors were taken",
    "float32": "float32 stays within bounds that leave room for right but unstable formulas",
    "agreement": "other array libraries give the same numbers",
    "layout": "the order of the entries in memory changes nothing",
    "poison": "entries that are not read change nothing, and get no gradient",
    "shape": "every answer has the shape it must have",
    "dtype": "float32 in, float32 out",
    "empty": "inputs of size 0 work where the domain allows them",
    "batch": "a member of a batch that is singular or nan leaves the others alone",
    "pure": "inputs are left alone, and the same question gets the same answer",
    "raises": "it can be computed at all",
}
"""What each property says, in the order in which they are shown."""


# --- why a rule was refuted ---------------------------------------------------------------------------------------------------

KINDS = {
    "sign": "sign",
    "scalar_factor": "constant factor",
    "dimension_factor": "factor that depends on a size",
    "relative_error": "small relative error",
    "outer_chain": "factor of an outer function",
    "chain_missing": "missing factor",
    "added_factor": "superfluous factor",
    "transpose": "transpose",
    "inner_transpose": "transpose inside",
    "symmetric_treatment": "convention for symmetric matrices",
    "symmetric_assumption": "symmetry assumed",
    "product_order": "order of factors",
    "inverse_rule": "rule for the inverse",
    "missing_term": "missing term",
    "added_term": "superfluous term",
    "term_sign": "sign of a term",
    "term_factor": "factor of a term",
    "wrong_variable": "another input's gradient",
    "wrong_operand": "wrong operand",
    "elementwise_derivative": "derivative of a function of entries",
    "elementwise_vs_matrix": "entries taken alone",
    "not_adjoint": "no adjoint taken",
    "direction": "what it is applied to",
    "entries": "some entries only",
    "single_precision": "single precision",
    "not_finite": "not a number",
    "domain": "some cases only",
    "difference": "the difference",
    "zero": "zero",
    "shape": "shape",
    "formula": "another formula",
}
"What `matcalc.diagnose` calls a kind of mistake, for readers."
APART = 10.0
"How many times further from the others than these are from each other the odd one out must be."
SPOKEN = {
    "rule": "this rule",
    "vjp of the rule": "this rule's vjp",
    "jvp of the rule": "this rule's jvp",
    "finite differences": "the finite difference",
}


def sentences(verdict: Verdict) -> list[str]:
    """What is known of why a rule was refuted, for a terminal: who disagrees with whom, and every explanation with its residual.

    Empty for a rule that was not refuted, and for one that could not be compared at all.
    """
    if verdict.status is not Status.REFUTED:
        return []
    case = verdict.counterexample
    odd = odd_one_out(case.votes) if case else ""
    lines = [odd] if odd else []
    lines += verdict.suspicions
    if case and not verdict.explanations:
        lines.append("no explanation that was tried fits")
    return lines


def executed(verdicts: Sequence[Verdict]) -> str:
    """What came of executing the printed equations of these rules beside their code; "" if none was executed.

    An equation that agrees with refuted code is not right for that, which is said too.
    """
    stated = [verdict for verdict in verdicts if verdict.equations or verdict.statements]
    ran = [verdict for verdict in stated if verdict.statements]
    if not ran:
        return ""
    found = Counter(one.status for verdict in ran for one in verdict.statements)
    agreed, false, silent = found[Status.VERIFIED], found[Status.REFUTED], found[Status.VACUOUS]
    many = len(verdicts) > 1
    what = count(found.total(), "printed equation") + (f" of {count(len(ran), 'rule')}" if many else "") + " executed beside the code"
    parts = [f"{agreed} agree", *([f"{false} do not"] if false else []), *([f"{silent} cannot be executed"] if silent else [])]
    said = [f"Of {what}, {listed(parts)}." if false or silent else f"{what}: all agree."]
    if wrong := sum(verdict.code_is_wrong for verdict in ran):
        whose = f"that of {count(wrong, 'rule')}" if many else "the code"
        said.append(f"They say what the code does, and {whose} is refuted.")
    if left := len(stated) - len(ran):
        said.append(f"Those of {count(left, 'rule')} were not executed.")
    return " ".join(said)


def odd_one_out(votes: dict[str, float]) -> str:
    """Which of several witnesses disagrees with the others that agree with each other; empty if the votes do not tell.

    `votes` holds the relative difference of each pair, as in `{"rule / JAX forward": 2.0, ...}`.
    """
    apart = {frozenset(pair.split(" / ")): finite_or_infinite(difference) for pair, difference in votes.items()}
    names = list(dict.fromkeys(name for pair in votes for name in pair.split(" / ")))
    if len(names) < 3 or any(frozenset(pair) not in apart for pair in combinations(names, 2)):
        return ""

    def clarity(few: tuple[str, ...]) -> float:
        rest = [name for name in names if name not in few]
        inside = [apart[frozenset(pair)] for group in (few, rest) for pair in combinations(group, 2)]
        across = [apart[frozenset((a, b))] for a in few for b in rest]
        return min(across) / max(*inside, 1e-16, 0.0)

    groups = [few for size in range(1, len(names) // 2 + 1) for few in combinations(names, size)]
    few = max(groups, key=clarity)
    if not clarity(few) > APART:
        return ""
    many = [SPOKEN.get(name, name) for name in names if name not in few]
    agree = f"{listed(many)} agree with each other"
    if len(few) == 1:
        return f"{agree}; {SPOKEN.get(few[0], few[0])} disagrees with {'both' if len(many) == 2 else 'all of them'}"
    return f"{agree}, and so do {listed([SPOKEN.get(name, name) for name in few])}, but the two groups disagree"


def finite_or_infinite(x: float) -> float:
    """A measured number; what is not a number counts as infinite, so that it cannot pass for small."""
    return inf if isnan(x) else x


def listed(words: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`; nothing for no words."""
    names = list(words)
    if not names:
        return ""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
