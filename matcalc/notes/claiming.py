"""The verdict on a `claim` block, by the room of claims."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from matcalc.claims import ClaimVerdict, Question, Variable
from matcalc.claims import judge as judge_question
from matcalc.claims.asking import TOO_MUCH
from matcalc.claims.deciding import decide
from matcalc.claims.question import KINDS, kind_of, named
from matcalc.claims.verdict import shortened
from matcalc.derivation import clock, derive, simplified
from matcalc.derivation.building import inner
from matcalc.formula import Variable as Declared
from matcalc.formula import parse, parse_pair, spell, variable
from matcalc.formula.expression import Expr, FormulaError
from matcalc.formula.names import as_tex
from matcalc.formula.operations import name
from matcalc.formula.printing import shape_text
from matcalc.notes.formulas import folded, input_of, plain, prepared, tex
from matcalc.notes.reading import Claim
from matcalc.notes.results import JudgedClaim, Judgement

if TYPE_CHECKING:
    from matcalc.formula.parsing import Kind

MOST_EXPLANATIONS = 3
WORDS = {"proved": Judgement.TRUE, "verified": Judgement.TRUE, "refuted": Judgement.FALSE, "inconclusive": Judgement.UNDECIDED}
WEIGHTS = "weights of the equation"
"The name by which both sides of an equation are weighted: equal for all weights is equal."


def decided(claim: Claim, anchor: str) -> JudgedClaim:
    """The verdict on a claim; of one that cannot be read, or not be decided in the time that `matcalc check` takes, a sentence says so."""
    if claim.problem:
        return JudgedClaim(claim, anchor, Judgement.UNREADABLE, note=claim.problem)
    try:
        with clock.within(clock.SECONDS):
            return _Asked(claim, anchor).judged()
    except (FormulaError, ValueError) as error:
        return JudgedClaim(claim, anchor, Judgement.UNREADABLE, note=str(error).partition("\n")[0])
    except TOO_MUCH:
        return JudgedClaim(claim, anchor, Judgement.UNDECIDED, note="it takes too long, or nests too deeply")


class _Asked:
    """A claim with its names."""

    def __init__(self, claim: Claim, anchor: str) -> None:
        self.claim = claim
        self.anchor = anchor
        self.variables: dict[str, Declared] = {}
        self.definitions: dict[str, Expr] = {}
        for word, kind in claim.variables:
            self.variables[plain(word)] = variable(f"{plain(word)}: {kind}")
        self.names = dict(self.variables)
        shown: list[str] = []
        for word, formula in claim.where:
            if plain(word) in self.names:
                raise ValueError(f"{word} is defined, but it is declared as a variable too")
            parsed = parse(prepared(formula, self.names), self.names)
            shown.append(f"{tex(name(plain(word)))} = {tex(parsed.expr)}")
            expr = parsed.expr.replaced(self.definitions)
            self.definitions[plain(word)] = expr
            self.names[plain(word)] = input_of(plain(word), expr.rows, expr.cols)
        self.where_tex = tuple(shown)

    def judged(self) -> JudgedClaim:
        return self._equation() if self.claim.equals else self._derivative()

    def _derivative(self) -> JudgedClaim:
        claim = self.claim
        if claim.kind and claim.kind not in KINDS:
            raise ValueError(f"the kind of a claim is one of {', '.join(KINDS)}, but “{claim.kind}” came")
        wrt = plain(claim.wrt)
        kind = cast("Kind", {"derivative": "jacobian", "": "auto"}.get(claim.kind, claim.kind))
        pair = parse_pair(prepared(claim.f, self.names), prepared(claim.claim, self.names), self.names, wrt, kind=kind)
        f = pair.f.expr.replaced(self.definitions)
        if wrt in self.definitions:
            raise ValueError(f"{claim.wrt} is defined by others; a derivative is taken with respect to a variable")
        variables = tuple(Variable.of(each) for each in self.variables.values())
        moved = named(variables, wrt)
        if pair.claim is None:
            right = self._right(f, moved)
            return self._said(Judgement.FALSE, "refuted", pair.f.expr, None, right, explanations=(str(pair.problem),))
        right_kind = kind_of(f, moved, pair.claim.expr) if kind in {"auto", "jacobian"} else kind
        question = Question(f, moved, pair.claim.expr.replaced(self.definitions), variables, right_kind)
        start = ClaimVerdict(claim.f, wrt, claim.claim, right_kind, "inconclusive")
        verdict = judge_question(question, start, self._spelled)
        return self._said(
            WORDS[verdict.verdict],
            verdict.verdict,
            pair.f.expr,
            pair.claim.expr,
            None if verdict.right else verdict.derivative,
            note=verdict.reason,
            explanations=tuple(shortened([reason.message for reason in verdict.explanations], MOST_EXPLANATIONS)),
            counterexample="" if verdict.counterexample is None else f"counterexample: {verdict.counterexample}",
        )

    def _equation(self) -> JudgedClaim:
        """Both sides are equal where <S, left> has the gradient `right` with respect to S."""
        left = parse(prepared(self.claim.f, self.names), self.names).expr
        right = parse(prepared(self.claim.equals, self.names), self.names, like=left).expr
        weights = Variable(WEIGHTS, left.rows, left.cols)
        f = inner(weights.expr, left.replaced(self.definitions))
        variables = (*(Variable.of(each) for each in self.variables.values()), weights)
        decision = decide(Question(f, weights, right.replaced(self.definitions), variables, "gradient"))
        return self._said(WORDS[decision.verdict], decision.verdict, left, right, None, note=decision.reason)

    def _right(self, f: Expr, wrt: Variable) -> Expr | None:
        try:
            return derive(f, wrt.name, [wrt.name] if wrt.is_symmetric else [], checked=False).gradient
        except FormulaError:
            return None

    def _folded(self, expr: Expr) -> Expr:
        known = [(each, form) for each, whole in reversed(self.definitions.items()) for form in (whole, simplified(whole))]
        return folded(expr, known)

    def _spelled(self, expr: Expr) -> str:
        try:
            return spell(self._folded(expr), "unicode")
        except (FormulaError, KeyError):
            return repr(expr)

    def _said(
        self,
        judgement: Judgement,
        status: str,
        f: Expr,
        claimed: Expr | None,
        right: Expr | None,
        *,
        note: str = "",
        explanations: tuple[str, ...] = (),
        counterexample: str = "",
    ) -> JudgedClaim:
        right_tex = "" if right is None else tex(self._folded(right))
        if right is not None and claimed is not None and claimed.shape != right.shape:
            right_tex += rf"\quad\text{{({shape_text(right)})}}"
        return JudgedClaim(
            self.claim,
            self.anchor,
            judgement,
            status,
            f_tex=tex(f),
            wrt_tex=as_tex(plain(self.claim.wrt)) if self.claim.wrt else "",
            claim_tex="" if claimed is None else tex(claimed),
            right_tex=right_tex,
            where_tex=self.where_tex,
            note=note,
            explanations=explanations,
            counterexample=counterexample,
        )
