"""Working through the lines of an example, each with its verdict."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from matcalc.formula.expression import FormulaError
from matcalc.formula.names import as_tex
from matcalc.graph import Graph
from matcalc.notes.anchors import Anchors
from matcalc.notes.comparing import Floats, array, by, compared, equal, instead
from matcalc.notes.formulas import plain
from matcalc.notes.formulas import tex as typeset
from matcalc.notes.printed import PrintedError, printed
from matcalc.notes.reading import Example, Statement
from matcalc.notes.results import JudgedExample, JudgedStatement, Judgement
from matcalc.notes.working import Derivative, Desk, KinkError, Slope, WorkError

MOST_LINES = 20_000
"Lines that are worked in one example, repetitions included."
TOO_DEEP = "too many formulas are made of one another"


@dataclass
class _Wish:
    """A graph that is to be drawn, with everything as it was on the desk when somebody thought of it."""

    desk: Desk
    name: str
    wrt: list[str]


class Work:
    """An example while it is worked; the next may continue it."""

    def __init__(self, anchors: Anchors) -> None:
        self.desk = Desk()
        self.anchors = anchors
        self.lines = 0
        self.waiting: list[tuple[str, Floats]] = []  # updates that will happen at once
        self.asked: dict[str, _Wish] = {}  # what was differentiated
        self.wanted: dict[str, _Wish] = {}  # what `graph` asks for
        self.undrawn: list[str] = []

    def example(self, example: Example, problem: str) -> JudgedExample:
        """All its lines, one after the other; a line that cannot be read does not stop the others."""
        anchor = self.anchors.next(example.id)
        self.asked, self.wanted, self.undrawn = {}, {}, []
        statements = tuple(map(self._anchored, self.statements(example.statements)))
        graphs = tuple(self._graphs(example.statements))
        worst = [Judgement.UNREADABLE] if problem else [one.judgement for top in statements for one in top.all()]
        judgement = min(worst, key=lambda one: one.rank, default=Judgement.WORKED)
        return JudgedExample(replace(example, problem=problem), anchor, judgement, statements, graphs, " ".join(self.undrawn))

    def statements(self, statements: Sequence[Statement]) -> Iterator[JudgedStatement]:
        """Updates that follow one another happen at once, so that all of them see the values before."""
        for k, statement in enumerate(statements):
            yield self._judged(statement)
            following = statements[k + 1].kind if k + 1 < len(statements) else ""
            if statement.kind == "update" and following != "update":
                for name, value in self.waiting:
                    self.desk.give(name, value)
                self.waiting.clear()

    def _judged(self, statement: Statement) -> JudgedStatement:
        self.lines += 1
        judgement = Judgement.UNREADABLE
        try:
            return self._worked(statement)
        except KinkError as error:
            judgement, note = Judgement.UNDECIDED if statement.claimed else Judgement.WORKED, str(error)
        except (WorkError, PrintedError, FormulaError) as error:
            note = str(error).partition("\n")[0]
        except RecursionError:
            note = TOO_DEEP
        return JudgedStatement(statement, judgement, note=note)

    def _worked(self, statement: Statement) -> JudgedStatement:
        if self.lines > MOST_LINES:
            raise WorkError(f"the example has more than {MOST_LINES} lines to work, repetitions included")
        if statement.problem:
            raise WorkError(statement.problem)
        work: dict[str, Callable[[Statement], JudgedStatement]] = {
            "formula": self._set,
            "update": self._updated,
            "look": self._looked,
            "edge": self._edge,
            "graph": self._wished,
            "repeat": self._repeated,
        }
        return work[statement.kind](statement)

    # --- the kinds of statements --------------------------------------------------------------------------------------------------

    def _set(self, statement: Statement) -> JudgedStatement:
        desk, target = self.desk, plain(statement.target)
        numbers = printed(statement.text)
        if numbers is not None:
            if len(numbers.shape) > 2:
                raise WorkError(f"{statement.target} would have more than two axes")
            desk.give(target, array(numbers))
            return self._compared(statement, as_tex(target), Derivative(desk.given[target], None))
        expr = desk.read(statement.text)
        if expr.names:
            desk.define(target, expr)
        else:
            desk.give(target, desk.value(expr))
        return self._compared(
            statement, f"{as_tex(target)} = {typeset(expr, desk.handles)}", Derivative(desk.value(desk.inputs[target]), None)
        )

    def _updated(self, statement: Statement) -> JudgedStatement:
        desk, target = self.desk, plain(statement.target)
        if target not in desk.given:
            raise WorkError(f"{statement.target} has no value of its own that could be updated")
        expr = desk.read(statement.text)
        value = desk.value(expr)
        if value.shape != desk.given[target].shape:
            raise WorkError(f"{statement.target} is {by(desk.given[target].shape)}, but its new value is {by(value.shape)}")
        for handle in sorted(expr.names & desk.slopes.keys()):
            self._note(desk.slopes[handle])
        self.waiting.append((target, value))
        return self._compared(statement, rf"{as_tex(target)} \leftarrow {typeset(expr, desk.handles)}", Derivative(value, None))

    def _looked(self, statement: Statement) -> JudgedStatement:
        desk = self.desk
        if slope := desk.slope(statement.text):
            found = desk.derivative(slope)
            self._note(slope)
            return self._compared(statement, slope.tex, found)
        expr = desk.read(statement.text)
        tex = typeset(expr, desk.handles) if expr.names else ""  # mere arithmetic is shown as it was written
        return self._compared(statement, tex, Derivative(desk.value(expr), None))

    def _edge(self, statement: Statement) -> JudgedStatement:
        source, target = self._known([statement.text, statement.target])
        tex = rf"\left.\frac{{\partial {as_tex(target)}}}{{\partial {as_tex(source)}}}\right|_{{\text{{edge}}}}"
        return self._compared(statement, tex, self.desk.along_edge(Slope(target, (), source, ())))

    def _wished(self, statement: Statement) -> JudgedStatement:
        target, *wrt = self._known([statement.target, *re.split(r"[,\s]+", statement.text)])
        if target not in self.desk.formulas:
            raise WorkError(f"{statement.target} has no formula, so there is no graph of it")
        self.wanted[target] = _Wish(self.desk.copy(), target, wrt)
        return JudgedStatement(statement, Judgement.WORKED)

    def _repeated(self, statement: Statement) -> JudgedStatement:
        """The lines again and again; what is shown and judged are those of the last time."""
        last: tuple[JudgedStatement, ...] = ()
        for k in range(statement.times):
            self.desk.checked = k in {0, statement.times - 1}
            last = tuple(self.statements(statement.body))
            if any(one.judgement is Judgement.UNREADABLE for one in last):
                break
        self.desk.checked = True
        return JudgedStatement(statement, Judgement.WORKED, body=last)

    def _anchored(self, line: JudgedStatement) -> JudgedStatement:
        """A line with its place in the page, and those in it, once it is known which are shown."""
        anchor = self.anchors.next(line.statement.id)
        return replace(line, anchor=anchor, body=tuple(map(self._anchored, line.body)))

    # --- what they have in common -------------------------------------------------------------------------------------------------

    def _known(self, words: Iterable[str]) -> list[str]:
        """The names that are meant; WorkError for one that has neither a value nor a formula."""
        names = [plain(word) for word in words if word]
        for name in names:
            if name not in self.desk.inputs:
                raise WorkError(f"{name} has not been given or defined above")
        return names

    def _note(self, slope: Slope) -> None:
        """A derivative that somebody asked for belongs to a graph."""
        wish = self.asked.setdefault(slope.y, _Wish(self.desk.copy(), slope.y, []))
        if slope.x not in wish.wrt:
            wish.wrt.append(slope.x)

    def _compared(self, statement: Statement, tex: str, found: Derivative) -> JudgedStatement:
        """The line with its value, beside what is claimed for it."""
        line = JudgedStatement(statement, Judgement.WORKED, tex=tex, value=found.value.tolist(), error=found.error)
        if not statement.claimed:
            return line
        numbers = printed(statement.claimed)
        if not np.all(np.isfinite(found.value)):
            return replace(line, judgement=Judgement.FALSE, note="it is not a finite number here")
        if numbers is None:
            expr = self.desk.read(statement.claimed)
            outcome, right = equal(found.value, self.desk.value(expr)), ""
            line = replace(line, claimed_tex=typeset(expr, self.desk.handles))
        else:
            outcome = compared(numbers, found.value)
            right = "" if outcome.right else instead(numbers, found.value)
        judgement = Judgement.TRUE if outcome.right else Judgement.FALSE
        return replace(line, judgement=judgement, wrong=outcome.wrong, right=right, note=outcome.note)

    def _graphs(self, statements: Sequence[Statement]) -> Iterator[Graph]:
        """The graphs that are asked for; else that of the last name that was differentiated, or of the last formula."""
        ordered = list(self.desk.formulas)
        chosen = [self.wanted[name] for name in ordered if name in self.wanted]
        if not chosen:
            asked = [name for name in ordered if name in self.asked]
            last = [plain(one.target) for one in statements if one.kind == "formula" and plain(one.target) in self.desk.formulas]
            chosen = [self.asked[asked[-1]]] if asked else [_Wish(self.desk.copy(), last[-1], [])] if last else []
        for wish in chosen:
            try:
                yield wish.desk.graph(wish.name, wish.wrt)
            except (FormulaError, WorkError) as error:
                self.undrawn.append(f"{wish.name} has no graph: {error}")
            except RecursionError:
                self.undrawn.append(f"{wish.name} has no graph: {TOO_DEEP}")
