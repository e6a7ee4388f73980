"""Graphs as pictures: what the layout promises, and what a browser shows of it."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matcalc import report
from matcalc.graph import Edge, Graph, Mark, Node, Step, from_json
from matcalc.report.graph import LARGEST_DRAWN, agreement, fragment, graph_page, notebook, write_graph
from matcalc.report.layout import Box, Layout, Link, layout
from matcalc.report.maths import typeset

# --- two graphs made by hand --------------------------------------------------------------------------------------------------


def scalar(x: float) -> tuple[tuple[float, ...], ...]:
    return ((float(x),),)


def entries(x: Any) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(map(float, row)) for row in np.atleast_2d(x))


def scalar_graph() -> Graph:
    """The graph of y = z1 + x3 z3 with z1 = x1², z2 = x2 x3, z3 = z2 − z1 at (1, 2, 3): two nodes are used twice."""
    rows = [
        ("variable", "name", "x_1", "", 1, -4, r"2 x_1 \bar z_1"),
        ("variable", "name", "x_2", "", 2, 9, r"x_3 \bar z_2"),
        ("variable", "name", "x_3", "", 3, 11, r"x_2 \bar z_2 + z_3 \bar z_4"),
        ("operation", "power", "z_1", "x_1^2", 1, -2, r"\bar y - \bar z_3"),
        ("operation", "multiply", "z_2", "x_2 x_3", 6, 3, r"\bar z_3"),
        ("operation", "subtract", "z_3", "z_2 - z_1", 5, 3, r"x_3 \bar z_4"),
        ("operation", "multiply", "z_4", "x_3 z_3", 15, 1, r"\bar y"),
        ("output", "add", "y", "z_1 + z_4", 16, 1, "1"),
    ]
    nodes = tuple(
        Node(k, kind, operation, name, formula, formula, "scalar", scalar(value), scalar(adjoint), adjoint_formula)  # type: ignore[arg-type]
        for k, (kind, operation, name, formula, value, adjoint, adjoint_formula) in enumerate(rows)
    )
    edges = tuple(
        Edge(source, target, operand, scalar(share), formula)
        for source, target, operand, share, formula in [
            (3, 7, 1, 1, r"\bar y"), (6, 7, 2, 1, r"\bar y"), (2, 6, 1, 5, r"z_3 \bar z_4"), (5, 6, 2, 3, r"x_3 \bar z_4"),
            (4, 5, 1, 3, r"\bar z_3"), (3, 5, 2, -3, r"-\bar z_3"), (1, 4, 1, 9, r"x_3 \bar z_2"), (2, 4, 2, 6, r"x_2 \bar z_2"),
            (0, 3, 1, -4, r"2 x_1 \bar z_1"),
        ]
    )  # fmt: skip
    steps = tuple(
        Step(node, of, given, rule, rf"\mathrm{{d}}{differential}", error)
        for node, of, given, rule, differential, error in [
            (7, (0, 1), r"\bar z_1 \mathrel{+}= \bar y, \quad \bar z_4 \mathrel{+}= \bar y", "add", r"y = \dots", 2e-11),
            (6, (2, 3), r"\bar x_3 \mathrel{+}= z_3 \bar z_4, \quad \bar z_3 \mathrel{+}= x_3 \bar z_4", "multiply", r"z_4 = \dots", 3e-11),
            (5, (4, 5), r"\bar z_2 \mathrel{+}= \bar z_3, \quad \bar z_1 \mathrel{+}= -\bar z_3", "subtract", r"z_3 = \dots", 0.5),
            (4, (6, 7), r"\bar x_2 \mathrel{+}= x_3 \bar z_2, \quad \bar x_3 \mathrel{+}= x_2 \bar z_2", "multiply", r"z_2 = \dots", None),
            (3, (8,), r"\bar x_1 \mathrel{+}= 2 x_1 \bar z_1", "power", r"z_1 = 2 x_1\,\mathrm{d}x_1", 1e-11),
        ]
    )  # fmt: skip
    return Graph("y = x_1^2 + x_3 (x_2 x_3 - x_1^2)", nodes, edges, steps, (0, 1, 2))


def logdet_graph(rows: int = 2, columns: int = 3) -> Graph:
    """The graph of f = log det(A P⁻¹ Aᵀ) at random numbers."""
    random = np.random.default_rng(7)
    a, root = random.standard_normal((rows, columns)), random.standard_normal((columns, columns))
    p = root @ root.T + np.eye(columns)
    inverse = np.linalg.inv(p)
    left, both = a @ inverse, a @ inverse @ a.T
    det = np.linalg.det(both)
    both_bar = np.linalg.inv(both).T
    left_bar, turned_bar = both_bar @ a, left.T @ both_bar
    inverse_bar = a.T @ left_bar
    p_bar = -inverse.T @ inverse_bar @ inverse.T
    first, second = left_bar @ inverse.T, turned_bar.T
    table: list[tuple[Any, ...]] = [
        ("variable", "name", "A", "", "m × n", a, first + second, r"2 Z_4^{-1} Z_2"),
        ("variable", "name", "P", "", "n × n", p, p_bar, r"-P^{-\top} \bar Z_1 P^{-\top}"),
        ("operation", "inverse", "Z_1", "P^{-1}", "n × n", inverse, inverse_bar, r"A^\top \bar Z_2"),
        ("operation", "matmul", "Z_2", "A Z_1", "m × n", left, left_bar, r"\bar Z_4 A"),
        ("operation", "transpose", "Z_3", r"A^\top", "n × m", a.T, turned_bar, r"Z_2^\top \bar Z_4"),
        ("operation", "matmul", "Z_4", "Z_2 Z_3", "m × m", both, both_bar, r"z_5 Z_4^{-\top} \bar z_5"),
        ("operation", "det", "z_5", r"\det Z_4", "scalar", det, 1 / det, r"\frac{1}{z_5}"),
        ("output", "log", "f", r"\log z_5", "scalar", np.log(det), 1.0, "1"),
    ]
    nodes = tuple(
        Node(k, kind, operation, name, formula, formula, shape, entries(value), entries(adjoint), bar)
        for k, (kind, operation, name, formula, shape, value, adjoint, bar) in enumerate(table)
    )
    edges = tuple(
        Edge(source, target, operand, entries(share), formula)
        for source, target, operand, share, formula in [
            (1, 2, 1, p_bar, r"-P^{-\top} \bar Z_1 P^{-\top}"), (0, 3, 1, first, r"\bar Z_2 Z_1^\top"),
            (2, 3, 2, inverse_bar, r"A^\top \bar Z_2"), (0, 4, 1, second, r"\bar Z_3^\top"), (3, 5, 1, left_bar, r"\bar Z_4 Z_3^\top"),
            (4, 5, 2, turned_bar, r"Z_2^\top \bar Z_4"), (5, 6, 1, both_bar, r"\bar z_5\, z_5 Z_4^{-\top}"),
            (6, 7, 1, 1 / det, r"\frac{\bar f}{z_5}"),
        ]
    )  # fmt: skip
    product = r"\mathrm{d}Z_4 = \mathrm{d}Z_2\,Z_3 + Z_2\,\mathrm{d}Z_3, \quad "
    product += r"\langle \bar Z_4, \mathrm{d}Z_2\,Z_3\rangle = \langle \bar Z_4 Z_3^\top, \mathrm{d}Z_2\rangle"
    steps = tuple(
        Step(node, of, given, rule, because, 1e-10)
        for node, of, given, rule, because in [
            (7, (7,), r"\bar z_5 \mathrel{+}= \frac{\bar f}{z_5}", "log", r"\mathrm{d}f = \frac{\mathrm{d}z_5}{z_5}"),
            (6, (6,), r"\bar Z_4 \mathrel{+}= \bar z_5\, z_5 Z_4^{-\top}", "det", r"\mathrm{d}z_5 = z_5 \operatorname{tr}(\dots)"),
            (5, (4, 5), r"\bar Z_2 \mathrel{+}= \bar Z_4 Z_3^\top, \quad \bar Z_3 \mathrel{+}= Z_2^\top \bar Z_4", "matmul", product),
            (4, (3,), r"\bar A \mathrel{+}= \bar Z_3^\top", "transpose", r"\mathrm{d}Z_3 = (\mathrm{d}A)^\top"),
            (3, (1, 2), r"\bar A \mathrel{+}= \bar Z_2 Z_1^\top, \quad \bar Z_1 \mathrel{+}= A^\top \bar Z_2", "matmul", r"\dots"),
            (2, (0,), r"\bar P \mathrel{+}= -P^{-\top} \bar Z_1 P^{-\top}", "inverse", r"\mathrm{d}Z_1 = -P^{-1}\,\mathrm{d}P\,P^{-1}"),
        ]
    )  # fmt: skip
    return Graph(r"f = \log \det (A P^{-1} A^\top)", nodes, edges, steps, (0, 1))


def random_graph(size: int, seed: int = 3) -> Graph:
    """Inputs, then nodes of two operands each among the last few, with 3 by 3 matrices everywhere."""
    random = np.random.default_rng(seed)
    some = entries(random.standard_normal((3, 3)))
    pairs = [(int(random.integers(max(0, k - 6), k)), k, operand) for k in range(3, size) for operand in (1, 2)]
    used = {source for source, _, _ in pairs}
    pairs += [(k, size - 1, operand) for operand, k in enumerate((k for k in range(size - 1) if k not in used), 3)]
    nodes = [Node(k, "variable", "name", f"Z_{k}", "", "", "n × n", some, some) for k in range(3)]
    nodes += [Node(k, "operation", "multiply", f"Z_{{{k}}}", r"Z \odot Z", "", "n × n", some, some) for k in range(3, size - 1)]
    nodes.append(Node(size - 1, "output", "sum", "Z", "", "", "n × n", some, some))
    return Graph("Z", tuple(nodes), tuple(Edge(*pair, some) for pair in pairs))


ASTRAY = Mark("the path through Aᵀ is missing", nodes=(3,), edges=(3,))
SAMPLES = {
    "scalar": scalar_graph(),
    "logdet": replace(logdet_graph(), mark=ASTRAY),
    "large": logdet_graph(4, 6),
    "random": random_graph(LARGEST_DRAWN),
}


# --- the layout -----------------------------------------------------------------------------------------------------------------


@st.composite
def acyclic(draw: st.DrawFn) -> tuple[list[tuple[float, float]], list[Link]]:
    """Nodes of any size and links from earlier to later ones, repeated operands included."""
    count = draw(st.integers(1, 14))
    side = st.integers(0, 120).map(float)
    sizes = [(draw(side) + 20, draw(side) + 10) for _ in range(count)]
    links = [
        Link(draw(st.integers(0, target - 1)), target, operand, draw(side), draw(side))
        for target in range(1, count)
        for operand in range(1, 1 + draw(st.integers(0, 3)))
    ]
    return sizes, draw(st.permutations(links))


def apart(a: Box, b: Box) -> bool:
    return a.x + a.width <= b.x + 0.2 or b.x + b.width <= a.x + 0.2 or a.y + a.height <= b.y + 0.2 or b.y + b.height <= a.y + 0.2


@given(acyclic())
def test_nothing_overlaps(graph: tuple[list[tuple[float, float]], list[Link]]) -> None:
    """No two boxes or labels overlap, everything lies in the picture, and no line runs through a box or a label."""
    drawn = layout(*graph)
    boxes = [*drawn.boxes, *(route.label for route in drawn.routes)]
    assert all(apart(a, b) for a, b in combinations(boxes, 2))
    assert all(box.x >= 0 and box.y >= 0 and box.x + box.width <= drawn.width and box.y + box.height <= drawn.height for box in boxes)
    for route in drawn.routes:
        for (x, y), (right, below) in pairwise(route.points):
            run = Box(min(x, right), y, abs(right - x), below - y)  # a curve stays within its corners
            assert all(apart(run, box) for box in boxes)


@given(acyclic())
def test_lines_go_down_and_operands_keep_their_order(graph: tuple[list[tuple[float, float]], list[Link]]) -> None:
    """A line leads down from the bottom of its source to the top of its target; a node's lines arrive by operand, uncrossed."""
    sizes, links = graph
    drawn = layout(sizes, links)
    for link, route in zip(links, drawn.routes, strict=True):
        source, target = drawn.boxes[link.source], drawn.boxes[link.target]
        assert all(y < below or (y == below and x == right) for (x, y), (right, below) in pairwise(route.points))
        assert route.points[0] == pytest.approx((source.x + source.width / 2, source.y + source.height), abs=0.2)
        assert route.points[-1][1] == target.y
        assert target.x <= route.points[-1][0] <= target.x + target.width
    for node in range(len(sizes)):
        arriving = [
            route for link, route in sorted(zip(links, drawn.routes, strict=True), key=lambda pair: pair[0].operand) if link.target == node
        ]
        for left, right in pairwise(arriving):
            assert left.points[-1][0] <= right.points[-1][0]
            assert bend(left) <= bend(right)


def bend(route: Any) -> float:
    """Where a line comes from on the last level above its target."""
    return next(x for x, y in reversed(route.points) if y <= route.points[-1][1] - 20)


@given(st.integers(1, 12), st.data())
def test_a_tree_is_read_from_left_to_right(count: int, data: st.DataObject) -> None:
    """In a tree the nodes at each depth stand in the order in which the formula names them, whatever their numbers are."""
    parents = [data.draw(st.integers(k + 1, count)) for k in range(count)]
    children: dict[int, list[int]] = {k: data.draw(st.permutations([c for c, p in enumerate(parents) if p == k])) for k in range(count + 1)}
    links = [Link(child, node, 1 + operand, 20, 20) for node, below in children.items() for operand, child in enumerate(below)]
    drawn = layout([(40.0, 20.0)] * (count + 1), links)
    by_depth: dict[float, list[float]] = {}
    waiting = [count]
    while waiting:
        node = waiting.pop()
        by_depth.setdefault(drawn.boxes[node].y, []).append(drawn.boxes[node].x)
        waiting += reversed(children[node])
    assert all(xs == sorted(xs) for xs in by_depth.values())


@given(acyclic())
def test_operands_stand_in_their_order(graph: tuple[list[tuple[float, float]], list[Link]]) -> None:
    """Where no two nodes want opposite orders, operands directly above their node stand as it names them, whoever else uses them."""
    sizes, given_links = graph
    links: list[Link] = []
    for node in range(len(sizes)):  # operands by age: an order that all nodes share
        sources = sorted({link.source for link in given_links if link.target == node})
        links += [Link(source, node, k, 30, 20) for k, source in enumerate(sources)]
    depth = [0] * len(sizes)
    for link in sorted(links, key=lambda link: -link.target):
        depth[link.source] = max(depth[link.source], depth[link.target] + 1)
    drawn = layout(sizes, links)
    for a, b in pairwise(links):
        if a.target == b.target and depth[a.source] == depth[b.source] == depth[a.target] + 1:
            assert drawn.boxes[a.source].x < drawn.boxes[b.source].x


def test_the_right_operand_is_not_drawn_on_the_left() -> None:
    """In A P⁻¹ · Aᵀ the second operand stays on the right, though fewer lines would cross the other way round."""
    graph = logdet_graph()
    drawn = layout([(60.0, 30.0)] * 8, [Link(e.source, e.target, e.operand, 40, 20) for e in graph.edges])
    assert drawn.boxes[3].x < drawn.boxes[4].x
    turned = layout(
        [(60.0, 30.0)] * 8, [Link(e.source, e.target, 3 - e.operand if e.target == 5 else e.operand, 40, 20) for e in graph.edges]
    )
    assert turned.boxes[3].x > turned.boxes[4].x


def test_both_orders_of_a_product_are_drawn() -> None:
    """A B + B A wants A on both sides of B; one of the wishes is left out."""
    both = [Link(0, 2, 1), Link(1, 2, 2), Link(1, 3, 1), Link(0, 3, 2), Link(2, 4, 1), Link(3, 4, 2)]
    drawn = layout([(40.0, 20.0)] * 5, both)
    assert drawn.boxes[0].x < drawn.boxes[1].x
    assert drawn.boxes[2].x < drawn.boxes[3].x


def test_a_link_backwards_is_refused() -> None:
    """Nodes come in the order of their evaluation; anything else is no graph of an expression."""
    for source, target in [(1, 0), (0, 0), (0, 2), (-1, 1)]:
        with pytest.raises(ValueError, match="a later one was expected"):
            layout([(10.0, 10.0)] * 2, [Link(source, target, 1)])
    assert layout([], []).boxes == ()


def test_sixty_nodes_are_laid_out_at_once() -> None:
    """Less than a tenth of a second, long lines included."""
    graph = random_graph(60)
    links = [Link(edge.source, edge.target, edge.operand, 60, 30) for edge in graph.edges]

    def seconds() -> tuple[float, Layout]:
        start = process_time()
        drawn = layout([(80.0, 36.0)] * 60, links)
        return process_time() - start, drawn

    assert min(seconds()[0] for _ in range(5)) < 0.1


# --- the page as text -----------------------------------------------------------------------------------------------------------


def test_a_large_graph_is_told_in_tables() -> None:
    """Beyond what can be drawn there is no picture, but every node and every edge."""
    graph = random_graph(LARGEST_DRAWN + 1)
    page = fragment(graph)
    assert "<svg" not in page
    assert f"{LARGEST_DRAWN + 1} nodes, more than a picture shows well" in page
    assert page.count("<tr>") == 2 + len(graph.nodes) + len(graph.edges)


def test_a_graph_without_numbers_shows_its_shapes() -> None:
    """No values: one picture and no switch; no way back: no second arrow."""
    nodes = (Node(0, "variable", "name", "A", "", "A", "n × n"), Node(1, "output", "trace", "f", r"\operatorname{tr} A", "", "scalar"))
    page = fragment(Graph(r"f = \operatorname{tr} A", nodes, (Edge(0, 1, 1),)))
    assert page.count("<svg") == 1
    assert "n\u00a0×\u00a0n" in page
    assert "<fieldset" not in page
    assert "↑" not in page
    assert "<ol" not in page


def test_names_are_never_markup() -> None:
    """A hostile graph shows its strings."""
    hostile = '<img src=x onerror="hacked=1">'
    nodes = (
        Node(0, "variable", "name", hostile, hostile, hostile, hostile, ((float("nan"),),), ((float("-inf"),),), hostile),
        Node(1, "output", hostile, "f", hostile, hostile, hostile, ((-0.0,),), ((1e-300,),), hostile),
    )
    graph = Graph(hostile, nodes, (Edge(0, 1, 1, ((1e300,),), hostile),), (Step(1, (0,), hostile, hostile, hostile, float("nan")),), (0,))
    page = graph_page(graph, links={hostile: "x.html"})
    assert "<img" not in page
    assert "nan" in page
    assert r"-\infty" in page
    assert agreement(graph) == "1 of 1 step disagrees with the numbers."
    assert agreement(scalar_graph()) == "1 of 4 steps disagrees with the numbers; 1 more was not looked at."
    assert agreement(logdet_graph()) == "All 6 steps agree with the numbers."


def test_lines_are_cut_where_they_may_be() -> None:
    """A long line of formulas is cut at its wide gaps, so that it can wrap, but never inside braces or an environment."""
    graph = scalar_graph()
    for tex, pieces in {
        r"a = b, \quad c = d\qquad e": ["a = b", "c = d", "e"],
        r"\frac{a \quad b}{c}": [r"\frac{a \quad b}{c}"],
        r"\begin{bmatrix} 1 & \quad 2 \end{bmatrix}": [r"\begin{bmatrix} 1 & \quad 2 \end{bmatrix}"],
        r"\left( a \quad b \right)": [r"\left( a \quad b \right)"],
    }.items():
        page = fragment(replace(graph, steps=(replace(graph.steps[0], because=tex),)))
        assert all(str(typeset(piece)) in page for piece in pieces)


def test_a_mark_goes_through_a_file() -> None:
    """Where a claim leaves the way back is part of a graph; graphs of older files have none."""
    data = json.loads(json.dumps(SAMPLES["logdet"].json()))
    assert from_json(data).mark == ASTRAY
    del data["mark"]
    assert from_json(data).mark is None


def test_links_lead_to_rules() -> None:
    """A rule whose page is known is a link, wherever it is named."""
    page = fragment(scalar_graph(), links={"power": "../rules/power.html"})
    assert page.count('<a href="../rules/power.html">power</a>') == 2
    assert "<code>multiply</code>" in page


def test_a_notebook_gets_no_script() -> None:
    """What Jupyter shows holds its own style, no script, no style attribute and no file to load."""
    shown = notebook(logdet_graph())
    assert shown.startswith('<div class="matcalc-graph"><style>')
    assert not any(word in shown for word in ("<script", " style=", "src=", "url("))
    assert shown == notebook(logdet_graph())


def test_a_graph_is_written_to_a_file(tmp_path: Path) -> None:
    """One file, whole, with everything in it."""
    write_graph(scalar_graph(), tmp_path / "deep" / "out.html")
    page = (tmp_path / "deep" / "out.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "data:font/woff2;base64," in page
    assert not any(word in page for word in (" style=", '<link rel="stylesheet', "http:", "https:"))


# --- the page in a browser ------------------------------------------------------------------------------------------------------

Visit = Callable[..., Any]
every_graph = pytest.mark.parametrize("name", SAMPLES)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser, started once; skips where there is none."""
    from test_pages import CHROMIUM, FLAGS, sync_api

    if CHROMIUM is None:
        pytest.skip("no Chromium was found; put one on the path or name it in MATCALC_CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples as pages, and one as a notebook shows it."""
    room = tmp_path_factory.mktemp("graphs")
    for name, graph in SAMPLES.items():
        write_graph(graph, room / f"{name}.html")
    for name, colours in {"notebook": "#fff;color:#111", "dark-notebook": "#111;color:#ddd"}.items():
        (room / f"{name}.html").write_text(
            f'<!doctype html><body style="background:{colours}">{notebook(SAMPLES["logdet"])}', encoding="utf-8"
        )
    assets = Path(report.__file__).parent / "assets"
    shutil.copytree(assets, room / "assets")
    policy = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; form-action 'none'"
    (room / "embedded.html").write_text(
        f'<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<link rel="stylesheet" href="assets/report.css"><link rel="stylesheet" href="assets/graph.css">'
        '<script src="assets/theme.js"></script><script src="assets/graph.js" defer></script>'
        f'<div class="wrap"><main>{fragment(scalar_graph())}{fragment(logdet_graph())}</main></div>',
        encoding="utf-8",
    )
    return room


@pytest.fixture
def visit(chromium: Any, folder: Path) -> Iterator[Visit]:
    """Opens a page offline; whatever it complains about or asks for fails the test."""
    complaints: list[str] = []
    contexts: list[Any] = []

    def open_page(name: str, **options: Any) -> Any:
        context = chromium.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or complaints.append(request.url))
        page.goto((folder / f"{name}.html").as_uri())
        page.evaluate("document.fonts.ready")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints


COLLISIONS = """() => {
  const svg = [...document.querySelectorAll(".graph svg")].find(one => one.getClientRects().length);
  const rect = element => {
    const { x, y, width, height } = element.getBoundingClientRect();
    return { x, y, right: x + width, below: y + height };
  };
  const meet = (a, b, by = 1) => a.x < b.right - by && b.x < a.right - by && a.y < b.below - by && b.y < a.below - by;
  const inside = (a, b) => a.x >= b.x - 1 && a.right <= b.right + 1 && a.y >= b.y - 1 && a.below <= b.below + 1;
  const found = [], say = (what, ...who) => found.push(what + ": " + who.map(one => one.textContent).join(" | "));
  const labels = [...svg.querySelectorAll("g.fw, g.bw, g.here, text.operand")], boxes = [...svg.querySelectorAll(".node rect")];
  const names = [...svg.querySelectorAll(".name")].map(name => name.firstElementChild), whole = rect(svg);
  [...labels, ...names, ...boxes].forEach(one => inside(rect(one), whole) || say("outside", one));
  labels.forEach((a, i) => labels.slice(0, i).forEach(b => meet(rect(a), rect(b)) && say("labels", a, b)));
  boxes.forEach((a, i) => boxes.slice(0, i).forEach(b => meet(rect(a), rect(b)) && say("boxes", a, b)));
  labels.forEach(a => names.forEach(b => meet(rect(a), rect(b)) && say("label on a name", a, b)));
  labels.forEach(a => boxes.forEach(b => meet(rect(a), rect(b)) && !inside(rect(a), rect(b)) && say("label on a box", a, b)));
  names.forEach((a, i) => inside(rect(a), rect(boxes[i])) || say("name larger than its box", a));
  svg.querySelectorAll("path.line").forEach(line => {
    for (let at = 0; at < line.getTotalLength(); at += 2) {
      const p = line.getPointAtLength(at), x = whole.x + p.x, y = whole.y + p.y, dot = { x, y, right: x, below: y };
      labels.forEach(a => a.matches("text") || meet(dot, rect(a), -0.5) && say("line through a label", a));
    }
  });
  return { found: [...new Set(found)], labels: labels.length, names: names.length };
}"""


@every_graph
@pytest.mark.parametrize("kind", ["values", pytest.param("shapes", marks=pytest.mark.slow)])
def test_labels_do_not_overlap(visit: Visit, name: str, kind: str) -> None:
    """By the boxes that the browser measures: labels, names and boxes keep apart, and no line runs through a label."""
    page = visit(name)
    page.check(f"[value={kind}]")
    result = page.evaluate(COLLISIONS)
    assert result["found"] == []
    assert result["names"] == len(SAMPLES[name].nodes)
    assert result["labels"] >= 2 * len(SAMPLES[name].edges)


@pytest.mark.parametrize("name", ["notebook", "dark-notebook"])
def test_a_notebook_is_as_legible(visit: Visit, name: str) -> None:
    """Without the bundled fonts nothing overlaps either; words stand out from the page, whatever its colours are."""
    page = visit(name)
    assert page.evaluate(COLLISIONS)["found"] == []
    ratios = page.evaluate("""() => {
      const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
      const light = colours => {
        colours.forEach(colour => {
          canvas.fillStyle = colour;
          canvas.fillRect(0, 0, 1, 1);
        });
        const parts = [...canvas.getImageData(0, 0, 1, 1).data].map(c => c / 255);
        const [r, g, b] = parts.map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const paper = getComputedStyle(document.body).backgroundColor;
      return ["svg .fw", "svg .bw", "svg .here", ".name", ".tick", "th", ".note", ".steps dt"].map(which => {
        const ink = getComputedStyle(document.querySelector(".graph " + which)).color;
        const [x, y] = [light([paper, ink]), light([paper])].sort((p, q) => q - p);
        return [which, (x + 0.05) / (y + 0.05)];
      });
    }""")
    assert [pair for pair in ratios if pair[1] < 4.5] == []


@pytest.mark.parametrize("name", ["logdet", "notebook"])
def test_bars_are_drawn(visit: Visit, name: str) -> None:
    """The bar of an adjoint, which carries its meaning, is drawn apart from its letter, with the bundled font and without."""
    from test_pages import rows_with_ink

    page = visit(name, reduced_motion="reduce")
    letters = page.locator(".steps .formula mover").all()
    assert len(letters) == 16
    for letter in letters:
        letter.scroll_into_view_if_needed()
        box = letter.bounding_box()
        box = {"x": box["x"] - 1, "y": box["y"] - 2, "width": box["width"] + 2, "height": box["height"] + 2}
        stretches = "".join("#" if ink else " " for ink in rows_with_ink(page.screenshot(clip=box))).split()
        assert len(stretches) >= 2, letter.evaluate("one => one.closest('math').getAttribute('alttext')")


@every_graph
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_axe_finds_nothing(visit: Visit, name: str, scheme: str) -> None:
    """The rules of WCAG 2.2 A and AA and axe's best practices hold in both themes."""
    from test_pages import AXE

    page = visit(name, color_scheme=scheme)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    result = page.evaluate(
        "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],"
        " resultTypes: ['violations'], preload: false })"
    )
    assert [(one["id"], node["html"][:200], node["failureSummary"]) for one in result["violations"] for node in one["nodes"]] == []
    assert len(result["passes"]) > 15


def shown_steps(page: Any) -> list[str]:
    return page.locator(".steps li:visible code, .steps li:visible a").all_text_contents()


def marked(page: Any) -> tuple[list[str], int]:
    """The formula of the node that the picture marks, and how many edges."""
    nodes = page.locator("svg.values .node.now math").evaluate_all("all => all.map(one => one.getAttribute('alttext'))")
    return nodes, page.locator("svg.values .edge.now").count()


def test_the_slider_walks_through_the_pass(visit: Visit) -> None:
    """Arrow keys, the ends of the slider and both buttons move through the steps; the picture and the list follow."""
    page = visit("scalar")
    slider, said = page.get_by_role("slider", name="Step of the backward pass"), page.locator("output")
    assert shown_steps(page) == ["add", "multiply", "subtract", "multiply", "power"]
    assert marked(page) == ([], 0)
    assert said.inner_text() == "all 5 steps"
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert said.inner_text() == slider.get_attribute("aria-valuetext") == "step 1 of 5"
    assert shown_steps(page) == ["add"]
    assert marked(page) == (["y = z_1 + z_4"], 2)
    assert page.locator("svg.values .bw:visible").count() == 3  # the output's own, and what its two operands get
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert marked(page) == (["z_3 = z_2 - z_1"], 2)
    assert page.locator("svg.values .bw", has_text="Σ").locator("visible=true").all_text_contents() == ["Σ-2".replace("-", "−")]
    page.get_by_role("button", name="Next step").click()
    assert said.inner_text() == "step 4 of 5"
    page.keyboard.press("Enter")
    assert shown_steps(page) == ["power"]
    assert "1 + (-3) = -2" in (page.locator(".steps li:visible .at math").last.get_attribute("alttext") or "")
    assert page.get_by_role("button", name="Next step").get_attribute("aria-disabled") == "true"
    page.keyboard.press("Enter")
    assert said.inner_text() == "step 5 of 5"
    page.get_by_role("button", name="Previous step").click()
    assert shown_steps(page) == ["multiply"]
    slider.focus()
    page.keyboard.press("Home")
    assert len(shown_steps(page)) == 5
    assert page.locator(".later").count() == 0


def test_two_graphs_share_a_page(visit: Visit) -> None:
    """In a page of a report, under its policy, each graph has switches and steps of its own."""
    page = visit("embedded")
    first, second = page.locator("section.graph").all()
    second.get_by_role("button", name="Next step").click()
    assert second.locator(".steps li:visible").count() == 1
    assert first.locator(".steps li:visible").count() == 5
    second.get_by_role("radio", name="shapes").check()
    assert first.locator("svg.values").is_visible()
    assert second.locator("svg.shapes").is_visible()
    assert page.evaluate("new Set([...document.querySelectorAll('[id]')].map(one => one.id)).size") == 8


def test_a_step_is_brought_into_view(visit: Visit) -> None:
    """On a phone the node of the step is seen beside the step's own lines."""
    page = visit("logdet", viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    slider = page.get_by_role("slider")
    slider.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    node, lines = page.locator("svg.values .node.now").bounding_box(), page.locator(".steps li:visible").bounding_box()
    assert node["y"] >= 0
    assert node["y"] + node["height"] <= page.locator(".pass").bounding_box()["y"]
    assert 0 <= node["x"] <= node["x"] + node["width"] <= 390
    assert lines["y"] + lines["height"] <= 844 + 1


@pytest.mark.parametrize("script", [True, False])
def test_switches_work_without_script(visit: Visit, script: bool) -> None:  # noqa: FBT001
    """Values or shapes, forward or backward; Enter in a switch leads nowhere."""
    page = visit("logdet", java_script_enabled=script)
    assert page.locator("svg:visible").count() == 1
    assert page.locator("svg.values").is_visible()
    page.check("[value=shapes]")
    assert page.locator("svg.shapes").is_visible()
    assert not page.locator("svg.values").is_visible()
    page.check("[value=forward]")
    assert page.locator("svg.shapes .bw:visible").count() == 0
    assert page.locator("svg.shapes .fw:visible").count() == 9
    page.check("[value=backward]")
    assert page.locator("svg.shapes .fw:visible").count() == 0
    page.keyboard.press("Enter")
    assert page.locator("[value=backward]").is_checked()


@every_graph
def test_everything_is_there_without_script(visit: Visit, name: str) -> None:
    """All steps with formula, rule and reason, all edges and nodes; no control that does nothing."""
    page = visit(name, java_script_enabled=False)
    graph = SAMPLES[name]
    assert page.locator(".steps li:visible").count() == len(graph.steps)
    assert page.locator(".steps .formula:has(math):visible").count() == len(graph.steps)
    assert page.locator("button:visible, [type=range]:visible").count() == 0
    assert page.locator("tbody tr").count() == len(graph.edges) + len(graph.nodes)


@pytest.mark.parametrize("name", [*SAMPLES, "notebook"])
@pytest.mark.parametrize("width", [360, 390, 800])
def test_only_boxes_scroll_sideways(visit: Visit, name: str, width: int) -> None:
    """On a phone the picture and the tables scroll, each in its own box, and the page does not."""
    page = visit(name, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_nothing_but_its_own_style_and_script_runs(chromium: Any, folder: Path) -> None:
    """The policy of the page allows what it came with, and nothing else."""
    page = chromium.new_page(offline=True)
    page.goto((folder / "scalar.html").as_uri())
    ran = page.evaluate("""() => new Promise(done => {
      const broken = new Set();
      addEventListener("securitypolicyviolation", event => broken.add(event.effectiveDirective));
      document.body.insertAdjacentHTML("beforeend", "<p id=mark style='color: red'>x</p><img src='http://127.0.0.1/x.png'>");
      const script = document.createElement("script");
      script.textContent = "window.hacked = true";
      document.body.append(script);
      setTimeout(() => done([window.hacked ?? null, getComputedStyle(document.getElementById("mark")).color, [...broken].sort()]), 200);
    })""")
    assert ran[0] is None
    assert ran[1] != "rgb(255, 0, 0)"
    assert ran[2] == ["img-src", "script-src-elem", "style-src-attr"]
    page.close()


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("media", ["screen", "print"])
@pytest.mark.parametrize("name", ["logdet", "notebook"])
def test_where_a_claim_leaves_is_marked(visit: Visit, name: str, media: str, *, script: bool) -> None:
    """By a sign, a word and a broken line, not by colour alone: in the picture, its step and the tables, and why beside it."""
    page = visit(name, java_script_enabled=script)
    assert page.locator(".astray").inner_text() == "✗ here the claim leaves the way back: the path through Aᵀ is missing."
    for kind in ("values", "shapes"):
        page.emulate_media(media="screen")
        page.check(f"[value={kind}]")
        page.check("[value=backward]")
        page.emulate_media(media=media)
        assert page.locator(f"svg.{kind} .here:visible").all_text_contents() == ["✗here"] * 2
        broken = "all => all.filter(one => getComputedStyle(one).strokeDasharray !== 'none').map(one => one.closest('.leaves') !== null)"
        assert page.locator(f"svg.{kind} :is(.line, rect)").evaluate_all(broken) == [True] * 2
    at = page.locator(".steps .leaves .at math").evaluate_all("all => all.map(one => one.getAttribute('alttext'))")
    assert at[0] == r"Z_3 = A^\top"
    assert page.locator(".steps .here:visible").count() == page.locator("td .here").count() == 2
    rows = page.locator("tbody .leaves math:first-of-type").evaluate_all("all => all.map(one => one.getAttribute('alttext'))")
    assert rows[:2] == ["A", "Z_3"]  # the edge's ends


def test_tables_fold(visit: Visit) -> None:
    """They open without script, and are open where there is no picture and on paper."""
    page = visit("logdet", java_script_enabled=False)
    assert page.locator("tbody:visible").count() == 0
    page.locator("summary", has_text="Table of the 8 edges").click()
    assert page.locator("tbody:visible").count() == 1
    page.emulate_media(media="print")
    assert page.locator("tbody:visible").count() == 2
    assert fragment(random_graph(LARGEST_DRAWN + 1)).count('<details class="table" open>') == 2


def test_a_graph_prints(visit: Visit) -> None:
    """On paper all steps are there, also of a page that was in the middle of one."""
    page = visit("scalar", color_scheme="dark")
    page.get_by_role("button", name="Next step").click()
    assert page.pdf().startswith(b"%PDF")
    page.emulate_media(media="print")
    assert page.locator(".steps li:visible").count() == 5
    assert page.locator("button:visible, input:visible").count() == 0
