"""matcalc: matrix-derivative rules written by hand, and the tool that verifies them.

Importing this package imports no array library; `matcalc.verify` brings in NumPy and JAX.
"""

from matcalc.array import Array
from matcalc.domain import Domain
from matcalc.rule import Linearization, Rule
from matcalc.source import Source
from matcalc.verdict import Evidence, Status, Verdict

__all__ = ["Array", "Domain", "Evidence", "Linearization", "Rule", "Source", "Status", "Verdict", "__version__"]

__version__ = "0.1.0"
