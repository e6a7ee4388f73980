"""Computational graphs as pictures, tables and steps: an SVG for the values and one for the shapes, switched without script.

Numbers in the picture are text in a font of fixed width and formulas are MathML, so that every size is known before a browser
sees it: `matcalc.report.layout` then leaves room for each label, and none lies on another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree as ET

from markupsafe import Markup

from matcalc.graph import Edge, Entries, Graph, Node, Step
from matcalc.report.files import write_file
from matcalc.report.inline import data, digest, inlined, text
from matcalc.report.layout import Box, Layout, Link, Route, layout
from matcalc.report.maths import MathsError, typeset
from matcalc.report.matrices import fits, in_tex, rows_and_columns, short, summary
from matcalc.report.templating import environment
from matcalc.report.words import clean, count
from matcalc.verdict import Status

LARGEST_DRAWN = 25
"Nodes; a larger graph is told in tables and steps alone."
LARGEST_GRID = 3
"Rows and columns of a matrix that is printed whole."
LARGEST_WHOLE = 12
"Rows and columns of a matrix that a table shows on demand."

CHARACTER, LINE = 7.2, 16.0  # of the numbers, in pixels
FORMULA = 16.0  # of the formulas
WIDEST = 240.0  # of a formula in a box; a wider one is left to the tables
WIDEST_BESIDE = 650.0  # of a picture that leaves room for the steps beside it
NARROW, BETWEEN = 150.0, 12.0  # of two matrices side by side, and between them


# --- what others call -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Claimed:
    """What was claimed about the derivative, as it was typed and in TeX, and what came of it: the first reason in a clause."""

    text: str
    tex: str
    status: Status
    why: str


def write_graph(graph: Graph, path: Path, *, links: Mapping[str, str] | None = None, claimed: Claimed | None = None) -> None:
    """Writes the graph as one HTML file that needs no other; raises ReportError if the place cannot be written."""
    write_file(path, graph_page(graph, links=links, claimed=claimed))


def graph_page(graph: Graph, *, links: Mapping[str, str] | None = None, claimed: Claimed | None = None) -> str:
    """A page of its own, with fonts, style and script in it, and a policy that allows just these. `links`, `claimed`: as for `fragment`."""
    style, script = inlined("report.css") + text("graph.css"), text("graph.js")
    template = environment().get_template("graph-page.html.jinja")
    return template.render(
        graph=graph, body=fragment(graph, links=links, level=2, claimed=claimed), style=Markup(style), script=Markup(script),  # noqa: S704  (our own files)
        style_hash=digest(style), script_hash=digest(script), icon=data("icon.svg", "image/svg+xml"), agreement=agreement(graph),
    )  # fmt: skip


def fragment(graph: Graph, *, links: Mapping[str, str] | None = None, level: int = 3, claimed: Claimed | None = None) -> Markup:
    """The graph as a part of a page that has `report.css`, `graph.css` and `graph.js`.

    `links` leads from rules' names to their pages; `level` is that of the headings in it; `claimed` is what is judged above it.
    """
    key = "g" + sha256(json.dumps(graph.json(), default=str).encode()).hexdigest()[:10]
    drawn = len(graph.nodes) <= LARGEST_DRAWN
    template = environment().get_template("graph.html.jinja")
    return Markup(template.render(shown=_Shown(graph, key, drawn, links or {}, level, claimed)))  # noqa: S704  (an autoescaped template)


def notebook(graph: Graph, *, claimed: Claimed | None = None) -> str:
    """The graph for a notebook, as `_repr_html_` must return it: without script, in the colours of the page around it."""
    style = Markup(text("graph.css"))  # noqa: S704  (our own file)
    return Markup('<div class="matcalc-graph"><style>{}</style>{}</div>').format(style, fragment(graph, claimed=claimed))


def agreement(graph: Graph) -> str:
    """How many of the steps agree with their numbers, as a sentence; empty if none was looked at."""
    judged = [step.agrees for step in graph.steps if step.agrees is not None]
    if not judged:
        return ""
    wrong, left = judged.count(False), len(graph.steps) - len(judged)
    said = f"{wrong} of {count(len(judged), 'step')} {'disagrees' if wrong == 1 else 'disagree'}"
    if not wrong:
        said = "The step agrees" if len(judged) == 1 else f"All {len(judged)} steps agree"
    rest = f"; {left} more {'was' if left == 1 else 'were'} not looked at" if left else ""
    return f"{said} with the numbers{rest}."


# --- what the templates see -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Value:
    """A matrix in a table: typeset, or in words with the whole behind them."""

    tex: str
    words: str = ""
    whole: str = ""


@dataclass(frozen=True)
class _Shown:
    """A graph and what its template asks of it."""

    graph: Graph
    key: str
    drawn: bool
    links: Mapping[str, str]
    level: int
    claimed: Claimed | None = None

    @property
    def has_values(self) -> bool:
        return any(node.value is not None for node in self.graph.nodes)

    @property
    def goes_back(self) -> bool:
        return any(_returns(edge) for edge in self.graph.edges)

    @property
    def fans_out(self) -> bool:
        return any(self.is_part(edge) for edge in self.graph.edges)

    @cached_property
    def pictures(self) -> list[_Picture]:
        kinds = ("values", "shapes") if self.has_values else ("shapes",)
        return [_Picture(self, kind) for kind in kinds] if self.drawn else []

    @property
    def beside(self) -> bool:
        """Whether there is room for the steps beside the picture."""
        return bool(self.graph.steps) and 0 < max((picture.plan.width for picture in self.pictures), default=0.0) <= WIDEST_BESIDE

    @property
    def here(self) -> str:
        return " ".join((HERE.mark, *HERE.lines))

    def clauses(self, tex: str) -> list[str]:
        """A line of formulas, cut at its wide gaps where each piece is a formula of its own."""
        parts = [part for part in re.split(r",?\s*\\q?quad\b\s*", tex) if part]
        whole = all(part.count("{") == part.count("}") and r"\left" not in part and r"\begin" not in part for part in parts)
        return parts if whole else [tex]

    def node(self, wanted: int) -> Node:
        return next(node for node in self.graph.nodes if node.id == wanted)

    def shares(self, node: Node) -> list[Edge]:
        return [edge for edge in self.graph.uses(node.id) if _returns(edge)]

    def is_part(self, edge: Edge) -> bool:
        """Whether what comes back along this edge is one of several shares."""
        return _returns(edge) and sum(_returns(other) for other in self.graph.uses(edge.source)) > 1

    def is_total(self, node: Node) -> bool:
        return len(self.shares(node)) > 1

    def step_of(self, node: Node) -> int:
        """The step that hands on this node's adjoint, from 1; 0 if none does."""
        return next((k for k, step in enumerate(self.graph.steps, 1) if step.node == node.id), 0)

    def step_along(self, edge: Edge) -> int:
        """The step that computes what comes back along this edge, from 1; 0 if none does."""
        at = self.graph.edges.index(edge)
        return next((k for k, step in enumerate(self.graph.steps, 1) if at in step.edges), 0)

    def finished(self, node: Node) -> int:
        """The step after which the node's adjoint is complete; 0 for the output's, which is given."""
        return max((self.step_along(edge) for edge in self.shares(node)), default=0)

    def leaves_at(self, node: Node) -> bool:
        """Whether a claim goes astray at this node."""
        return self.graph.mark is not None and node.id in self.graph.mark.nodes

    def leaves_along(self, edge: Edge) -> bool:
        """Whether a claim goes astray along this edge."""
        return self.graph.mark is not None and self.graph.edges.index(edge) in self.graph.mark.edges

    def leaves_in(self, step: Step) -> bool:
        """Whether a claim goes astray in this step of the backward pass."""
        mark, number = self.graph.mark, self.graph.steps.index(step) + 1
        return mark is not None and (step.node in mark.nodes or any(self.step_along(self.graph.edges[k]) == number for k in mark.edges))

    def rule_along(self, edge: Edge) -> str:
        k = self.step_along(edge)
        return self.graph.steps[k - 1].rule if k else ""

    def value(self, entries: Entries | None) -> _Value:
        if entries is None:
            return _Value("", "–")
        if fits(entries, LARGEST_GRID):
            return _Value(in_tex(entries))
        return _Value("", summary(entries), in_tex(entries) if fits(entries, LARGEST_WHOLE) else "")

    def adjoint(self, node: Node) -> _Value:
        """The total derivative; where several shares make it, their sum."""
        parts = [edge.contribution for edge in self.shares(node)]
        total = self.value(node.adjoint)
        if len(parts) < 2 or not total.tex or any(part is None or not fits(part, LARGEST_GRID) for part in parts):
            return total
        said = [in_tex(part) for part in parts if part is not None]
        return _Value(" + ".join(f"({one})" if one.startswith("-") else one for one in said) + " = " + total.tex)

    def within(self, node: Node) -> str:
        """A node with its formula, as in z_1 = x_1^2."""
        plain = node.kind not in {"operation", "output"} or node.formula in {"", node.name}
        return node.name if plain else f"{node.name} = {node.formula}"


def _returns(edge: Edge) -> bool:
    return edge.contribution is not None or bool(edge.contribution_formula)


# --- labels ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Block:
    """Lines of numbers behind a mark, in brackets if they are a matrix."""

    kind: str  # "fw" for what goes forward, "bw" for what comes back, "here" where a claim leaves the way
    mark: str
    lines: tuple[str, ...]
    bracketed: bool = False
    step: int = 0  # at which it is computed, where that is not its edge's

    @property
    def start(self) -> float:
        return (len(self.mark) + 0.6) * CHARACTER + (5 if self.bracketed else 0)

    @property
    def width(self) -> float:
        return round(self.start + max(map(len, self.lines)) * CHARACTER + (6 if self.bracketed else 0), 1)

    @property
    def height(self) -> float:
        return LINE * len(self.lines) + (4 if self.bracketed else 0)

    def svg(self, x: float, y: float) -> Markup:
        """Drawn with its upper left corner here."""
        inset = 2 if self.bracketed else 0
        parts = [_text_at(x, y + self.height / 2 + 4, self.mark)]
        parts += [_text_at(x + self.start, y + inset + LINE * k + 12, line) for k, line in enumerate(self.lines)]
        if self.bracketed:
            bracket = Markup('<path fill="none" stroke="currentColor" d="M{} {}h{}v{}h{}"/>')
            for side, way in ((x + self.start - 4, 3), (x + self.width - 2, -3)):
                parts.append(bracket.format(_at(side + way), _at(y + 1), -way, _at(self.height - 2), way))
        step = Markup(' data-step="{}"').format(self.step) if self.step else ""
        return Markup('<g class="{}"{}>{}</g>').format(self.kind, step, Markup("").join(parts))


def _block(kind: str, mark: str, entries: Entries, step: int = 0) -> _Block:
    if not fits(entries, LARGEST_GRID):
        return _Block(kind, mark, (summary(entries),), step=step)
    cells = [[short(x, 3) for x in row] for row in entries]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = tuple("\u00a0".join(cell.rjust(wide, "\u00a0") for cell, wide in zip(row, widths, strict=True)) for row in cells)
    return _Block(kind, mark, lines, rows_and_columns(entries) != (1, 1), step)


HERE = _Block("here", "✗", ("here",))
"What marks the place where a claim leaves the way back: a sign and a word, so that no colour is needed."


@dataclass(frozen=True)
class _Label:
    """Blocks below each other, or side by side where they are columns of numbers."""

    blocks: tuple[_Block, ...]

    @property
    def beside(self) -> bool:
        return any(len(block.lines) > 1 for block in self.blocks) and sum(block.width for block in self.blocks) < NARROW

    @property
    def size(self) -> tuple[float, float]:
        wide, high = [block.width for block in self.blocks], [block.height for block in self.blocks]
        if not self.blocks:
            return 0.0, 0.0
        return (sum(wide) + BETWEEN * (len(wide) - 1), max(high)) if self.beside else (max(wide), sum(high) + self.apart * (len(high) - 1))

    @property
    def apart(self) -> float:
        return 4.0 if any(block.bracketed for block in self.blocks) else 0.0

    def svg(self, x: float, y: float) -> Markup:
        """Drawn with its upper left corner here."""
        parts: list[Markup] = []
        height = self.size[1]
        for block in self.blocks:
            parts.append(block.svg(x, y + (height - block.height) / 2 if self.beside else y))
            x, y = (x + block.width + BETWEEN, y) if self.beside else (x, y + block.height + self.apart)
        return Markup("").join(parts)


def _at(x: float) -> str:
    return f"{x:.1f}".removesuffix(".0")


def _text_at(x: float, y: float, words: str, kind: str = "") -> Markup:
    return Markup('<text{} x="{}" y="{}">{}</text>').format(Markup(' class="{}"').format(kind) if kind else "", _at(x), _at(y), words)


# --- how large a formula is -----------------------------------------------------------------------------------------------------

_SCRIPT = 0.72
_EM = re.compile(r"-?\d*\.?\d+(?=em)")


def _extent(element: ET.Element) -> tuple[float, float]:
    """Width and height of a formula in em, rather too large than too small."""
    parts = [_extent(child) for child in element]
    wide, high = [w for w, _ in parts], [h for _, h in parts]
    width, height = sum(wide), max(high, default=0.0)
    match element.tag:
        case "mi" | "mn" | "mo" | "mtext":
            width, height = _breadth(element), 1.25
        case "mspace":
            space = _EM.search(element.get("width", ""))
            width = max(float(space[0]), 0.0) if space else 0.0
        case "msub" | "msup" | "msubsup":
            width, height = wide[0] + _SCRIPT * max(wide[1:]), high[0] + 0.3 * sum(high[1:])
        case "mover" | "munder" | "munderover":
            width, height = max(wide[0], *(_SCRIPT * w for w in wide[1:])), high[0] + _SCRIPT * sum(high[1:])
        case "mfrac":
            width, height = max(wide) + 0.3, sum(high)
        case "mtable":
            columns = max((len(row) for row in element), default=0)
            width = sum(max((_extent(row[k])[0] for row in element if k < len(row)), default=0.0) + 0.9 for k in range(columns))
            height = sum(high) + 0.5 * len(high)
        case "msqrt" | "mroot":
            width, height = width + 1.0, height + 0.3
        case _:
            pass
    return width, height


def _breadth(element: ET.Element) -> float:
    """The width of letters and signs in em: by rough classes, since boxes are padded."""
    text = element.text or ""
    if element.tag == "mo" and text in "=+−≤≥∈→≈∘⊙⊗⋅×±<>":
        return 0.75 if element.get("lspace") == "0" else 1.3
    classes = (("\u2061\u2062", 0.0), ("ijlt.,;:|!()[]{}‖⟨⟩/'′ ", 0.42), ("mwMW∑∏", 1.05))
    return sum(next((width for letters, width in classes if c in letters), 0.78 if c.isupper() else 0.6) for c in text)


def _typeset(tex: str) -> tuple[Markup, float, float] | None:
    """A formula and its size in pixels; None for one that cannot be typeset."""
    try:
        shown = typeset(tex)
    except MathsError:
        return None
    wide, high = _extent(ET.fromstring(shown))  # noqa: S314  (just serialised from a checked tree)
    return shown, FORMULA * wide, FORMULA * high


# --- the picture ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Drawn:
    """A node's box: its formula above, what is known of its numbers below."""

    node: Node
    formula: Markup
    label: _Label
    width: float
    height: float


class _Picture:
    """A graph with its values or its shapes."""

    def __init__(self, shown: _Shown, kind: str) -> None:
        self.shown, self.kind = shown, kind
        self.nodes = [self._box(node) for node in shown.graph.nodes]
        self.labels = [self._along(edge) for edge in shown.graph.edges]
        place = {node.id: k for k, node in enumerate(shown.graph.nodes)}
        links = [
            Link(place[edge.source], place[edge.target], edge.operand, *label.size)
            for edge, label in zip(shown.graph.edges, self.labels, strict=True)
        ]
        self.plan: Layout = layout([(one.width, one.height) for one in self.nodes], links)

    def _said(self, kind: str, mark: str, entries: Entries | None, node: Node, step: int = 0) -> _Block:
        if self.kind == "values" and entries is not None:
            return _block(kind, mark, entries, step)
        return _Block(kind, mark, (clean(node.shape).replace(" ", "\u00a0"),), step=step)

    def _along(self, edge: Edge) -> _Label:
        source = self.shown.node(edge.source)
        blocks = [self._said("fw", "↓", source.value, source)]
        if _returns(edge):
            blocks.append(self._said("bw", "↑∂" if self.shown.is_part(edge) else "↑", edge.contribution, source))
        return _Label((*blocks, *([HERE] * self.shown.leaves_along(edge))))

    def _box(self, node: Node) -> _Drawn:
        blocks: list[_Block] = []
        if node.kind == "output":
            blocks.append(self._said("fw", "=", node.value, node))
        if node.adjoint is not None and (self.shown.is_total(node) or node.kind == "output"):  # elsewhere it is what the one edge says
            blocks.append(self._said("bw", "Σ" if self.shown.is_total(node) else "↑", node.adjoint, node, self.shown.finished(node)))
        blocks += [HERE] * self.shown.leaves_at(node)
        label = _Label(tuple(blocks))
        found = [one for tex in (self.shown.within(node), node.name) if (one := _typeset(tex)) and one[1] <= WIDEST]
        name = clean(node.text)
        name = name if len(name) <= 24 else f"{name[:23]}…"
        formula, wide, high = found[0] if found else (Markup("<code>{}</code>").format(name), 9.0 * len(name), 20.0)
        ports = 24.0 * (1 + len(self.shown.graph.operands(node.id)))
        width = max(wide + 18, label.size[0] + 18, ports, 40.0)
        return _Drawn(node, formula, label, _even(width), _even(max(high + 10, 32) + (label.size[1] + 5 if blocks else 0)))

    def svg(self) -> Markup:
        """The whole picture, with a title and a description in words."""
        graph, plan = self.shown.graph, self.plan
        ids = f"{self.shown.key}-{self.kind}"
        parts = [*map(self._line, graph.edges, self.labels, plan.routes), *map(self._node, self.nodes, plan.boxes)]
        size = Markup('viewBox="0 0 {0} {1}" width="{0}" height="{1}"').format(_at(plan.width), _at(plan.height))
        inputs = ", ".join(clean(node.text) for node in graph.nodes if not graph.operands(node.id))
        found = f"{count(len(graph.nodes), 'node')} and {count(len(graph.edges), 'edge')}, from {inputs} down to the output."
        return Markup(
            '<svg class="{kind}" {size} role="img" aria-labelledby="{ids}-title {ids}-desc">'
            '<title id="{ids}-title">Computational graph with {kind}</title>'
            '<desc id="{ids}-desc">{found} The tables list them all.</desc>{parts}</svg>'
        ).format(kind=self.kind, size=size, ids=ids, found=found, parts=Markup("").join(parts))

    def _line(self, edge: Edge, label: _Label, route: Route) -> Markup:
        (x, y), (before, _) = route.points[-1], _bend(route.points)
        tip = Markup('<path class="tip" d="M{0} {1}l-3.5 -7h7z"/>').format(_at(x), _at(y))
        which = ""
        if len(siblings := self.shown.graph.operands(edge.target)) > 1:
            left = before > x or (before == x and siblings.index(edge) > 0)
            which = _text_at(x - 4 - CHARACTER if left else x + 4, y - 8, str(edge.operand), "operand")
        line = Markup('<path class="line" fill="none" stroke="currentColor" d="{}"/>').format(route.path)
        kind = "edge" + " part" * self.shown.is_part(edge) + " leaves" * self.shown.leaves_along(edge)
        parts = [line, tip, which, label.svg(route.label.x, route.label.y)]
        return Markup('<g class="{}" data-step="{}">{}</g>').format(kind, self.shown.step_along(edge), Markup("").join(parts))

    def _node(self, one: _Drawn, box: Box) -> Markup:
        wide, high = one.label.size
        top = box.height - (high + 5 if one.label.blocks else 0)
        kind = "output" if one.node.kind == "output" else "input" if not self.shown.graph.operands(one.node.id) else "operation"
        kind += " wanted" * (one.node.id in self.shown.graph.wrt) + " leaves" * self.shown.leaves_at(one.node)
        return Markup(
            '<g class="node {}" data-step="{}"><rect fill="none" stroke="currentColor" x="{x}" y="{y}" width="{w}" height="{h}" rx="7"/>'
            '<foreignObject x="{x}" y="{y}" width="{w}" height="{top}"><div class="name">{formula}</div></foreignObject></g>{label}'
        ).format(
            kind, self.shown.step_of(one.node), x=_at(box.x), y=_at(box.y), w=_at(box.width), h=_at(box.height), top=_at(top),
            formula=one.formula, label=one.label.svg(box.x + (box.width - wide) / 2, box.y + top - 1),
        )  # fmt: skip


def _bend(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The last point that does not lie straight above the end."""
    return next((point for point in reversed(points) if point[0] != points[-1][0]), points[-1])


def _even(x: float) -> float:
    return 2.0 * round(x / 2 + 0.5)
