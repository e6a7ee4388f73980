"""Special points, on purpose: where derivatives are wrong most often and where no random point ever falls.

Ties, zeros, repeated eigenvalues, matrices of less than full rank, both signs of a determinant, large condition numbers and
scales: the domains own these points (`Domain.special`), and here a rule is asked at all of them. Nothing is compared with
autodiff, which is often nan or wrong at exactly these points; the truth is the function's own values, by differences to both
sides with an error estimate, and the adjoint identity. Where the two sides differ there is a kink, and the rule may give any
valid subgradient. What was looked at, and how often some oracle could tell, is the rule's census.
"""

from matcalc.special.places import Place, missing, places
from matcalc.special.survey import survey

__all__ = ["Place", "missing", "places", "survey"]
