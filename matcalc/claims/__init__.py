"""Claims about derivatives: whether they are right, why not, and where it shows.

`check_claim` judges what somebody typed, `check_file` a file of claims, `judge` a typed question.
"""

from matcalc.claims.asking import check_claim, check_entry, check_file, judge
from matcalc.claims.explain import Reason
from matcalc.claims.points import Variable
from matcalc.claims.question import Question
from matcalc.claims.verdict import ClaimVerdict

__all__ = ["ClaimVerdict", "Question", "Reason", "Variable", "check_claim", "check_entry", "check_file", "judge"]
