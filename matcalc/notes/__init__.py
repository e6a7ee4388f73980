r"""Lecture notes that are checked: a Markdown document in which claims and worked examples are marked, and the verdicts on them.

A claim is a fenced block of the kind `claim`, `key: value` in each line:

    ```claim
    id: 4.5
    f: -\frac{D}{2} \log\det K
    wrt: K
    claim: -\frac{D}{2} K^{-\top}
    K: spd(n)
    D: positive
    ```

`where: r = A x - b` names a part of it, `equals` instead of `wrt` and `claim` makes it an equation, `like: 4.4` (or `like: above`)
takes over what an earlier claim says, `says` is a sentence for the reader. Every other key declares a variable.

An example is a fenced block of the kind `example`, worked from top to bottom:

    ```example
    id: 3.2
    W = [[1, 0], [-1, 1]]; x = [1, 0]; t = 2     numbers that are given
    h = relu(W x) ?= [1, 0]                      a formula, and what was printed for its value
    L = 1/2 (t - sum(h))^2
    ∂L/∂W ?= [[-1, 0], [0, 0]]                   a derivative (total: along all paths)
    edge h -> L ?= [-1, -1]                      a derivative along one edge (partial)
    W <- W - 0.1 ∂L/∂W                           an update; those that follow each other happen at once
    2·(0 - 0.42)·0.42 ?= -0.35                   plain arithmetic
    repeat 100:                                  what is indented below is repeated
    graph L wrt W                                draws this graph in place of the one that is drawn anyway
    ```

A printed number with decimals is true if the value rounds to it; whole numbers and fractions are meant exactly. Behind `?=` may also
stand a formula. `W_{1,2}` and `x_1` are entries. ```` ```example continued ```` goes on with the names above it. A formula stays a
formula: after an update, `L` is the new L.

`judge(read(text))` finds every verdict by itself; none of them is in the document. `docs/notes.md` tells all this to authors.
"""

from matcalc.notes.judging import judge
from matcalc.notes.reading import Claim, Example, Notes, NotesError, Statement, markdown, read
from matcalc.notes.results import Finding, JudgedClaim, JudgedExample, JudgedNotes, JudgedStatement, Judgement

__all__ = [
    "Claim",
    "Example",
    "Finding",
    "JudgedClaim",
    "JudgedExample",
    "JudgedNotes",
    "JudgedStatement",
    "Judgement",
    "Notes",
    "NotesError",
    "Statement",
    "judge",
    "markdown",
    "read",
]
