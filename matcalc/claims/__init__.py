"""Claims about derivatives: whether they are right, why not, and where it shows.

`check_claim` judges what somebody typed, `check_file` a file of claims, `judge` a typed question. Read the rooms in this order.

What is asked: `question`; `points` and their sets; `truth`, the derivative as an expression.
Whether it is right: `deciding` asks the arithmetics of `layers`; `atoms` is the one with unknown functions.
Where it is wrong: `counterexample`, at points of the `bench`, on which truth and claim lie beside each other in floats.
Why it is wrong: `explain` lists the tests of a `search`. They look at the claim as a `whole` and at its `parts`, which `terms` tells
apart; at the way back from the function (`backwards`), with wrong rules on it (`mistakes`); at the claim with small `edits`
(`repairs`); and at smaller sets, in which it would be right (`restrictions`).
How it is told: `asking` reads texts and files, and answers by a `verdict`; `way` shows where a claim leaves the way back.
"""

from matcalc.claims.asking import check_claim, check_entry, check_file, judge
from matcalc.claims.points import Variable
from matcalc.claims.question import Question
from matcalc.claims.search import Reason
from matcalc.claims.verdict import ClaimVerdict

__all__ = ["ClaimVerdict", "Question", "Reason", "Variable", "check_claim", "check_entry", "check_file", "judge"]
