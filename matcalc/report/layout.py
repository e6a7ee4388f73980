"""Where the boxes and lines of a graph go: layers from the inputs at the top to the output at the bottom.

Nodes lie on even levels, as close to the output as they can. Every link has a label of its own on the odd level below its source,
and a point on each further level it passes, so that no line runs through a box or a label. The order on a level follows the
neighbours' (barycentre sweeps), but never turns the operands of a node around where both orders are possible: a picture of a
product whose factors changed places would say something else. Positions are values; what they look like is the page's business.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import accumulate, pairwise
from math import inf

BESIDE = 18.0  # between two boxes on a level
BELOW = 22.0  # between two levels; more where lines go far to the side
STEEPEST, TALLEST = 7.0, 60.0
PORTS = 44.0  # between the lines of two operands where they enter a wide box
LABEL = 7.0  # from a line to its label
MARGIN = 10.0
ORDERS, SHIFTS = 8, 24  # sweeps


@dataclass(frozen=True)
class Link:
    """A line from one node to another, by their positions in the list of sizes, and the size of its label."""

    source: int
    target: int
    operand: int
    width: float = 0.0
    height: float = 0.0


@dataclass(frozen=True)
class Box:
    """A rectangle by its upper left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Route:
    """A line from the bottom of its source to the top of its target, and the place of its label, to the right of the line."""

    points: tuple[tuple[float, float], ...]
    label: Box

    @property
    def path(self) -> str:
        """The line as the `d` of an SVG path, vertical at every point."""
        (x, y), *_ = self.points
        parts = [f"M{x:g} {y:g}"]
        for (a, b), (c, d) in pairwise(self.points):
            middle = round((b + d) / 2, 1)
            parts.append(f"V{d:g}" if a == c else f"C{a:g} {middle:g} {c:g} {middle:g} {c:g} {d:g}")
        return "".join(parts)


@dataclass(frozen=True)
class Layout:
    """The boxes of the nodes and the lines of the links, each in the order in which they were given."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    routes: tuple[Route, ...]


@dataclass
class _Item:
    """A node, a label or a point of a long line; `x` is where its lines pass, `left` and `right` how far it reaches from there."""

    level: int
    left: float = 0.0
    right: float = 0.0
    height: float = 0.0
    x: float = 0.0
    place: float = 0.0  # from 0 to 1, along its level
    share: float = 1.0  # of its level
    above: list[_Arc] = field(default_factory=list)
    below: list[_Arc] = field(default_factory=list)


@dataclass
class _Arc:
    """Two items on neighbouring levels; `port` is where the line enters the lower: from -1/2, its left edge, to 1/2."""

    upper: _Item
    lower: _Item
    port: float = 0.0
    gap: float = 1.0  # from this port to the next

    @property
    def place(self) -> float:
        """Where the line arrives along the lower level, from 0 to 1."""
        return self.lower.place + self.port * self.lower.share

    @property
    def end(self) -> float:
        """Where the line meets the lower item, from the item's own place."""
        return self.port * min(self.lower.left + self.lower.right, PORTS / self.gap)


def layout(sizes: Sequence[tuple[float, float]], links: Sequence[Link]) -> Layout:
    """The drawing of nodes of these widths and heights, joined by these links.

    Raises ValueError for a link that does not lead from a node to a later one: nodes come in the order of their evaluation.
    """
    nodes, chains, operands = _items(sizes, links)
    levels: list[list[_Item]] = [[] for _ in range(1 + max((node.level for node in nodes), default=0))]
    for item in [*nodes, *(item for chain in chains for item in chain)]:
        levels[item.level].append(item)
    _order(levels, _before(operands, nodes, links, chains))
    _shift(levels)
    return _drawing(sizes, links, levels, nodes, chains)


def _items(sizes: Sequence[tuple[float, float]], links: Sequence[Link]) -> tuple[list[_Item], list[list[_Item]], list[list[int]]]:
    """The nodes, the items along each link from its label downwards, and the links that enter each node by operand."""
    operands: list[list[int]] = [[] for _ in sizes]
    rank = [0] * len(sizes)
    for link in sorted(links, key=lambda link: -link.target):
        if not 0 <= link.source < link.target < len(sizes):
            raise ValueError(f"a link leads from node {link.source} to node {link.target} of {len(sizes)}, and a later one was expected")
        rank[link.source] = max(rank[link.source], rank[link.target] + 1)
    for k, link in sorted(enumerate(links), key=lambda pair: pair[1].operand):
        operands[link.target].append(k)
    nodes = [_Item(2 * r, width / 2, width / 2, height) for r, (width, height) in zip(rank, sizes, strict=True)]
    chains: list[list[_Item]] = []
    for k, link in enumerate(links):
        top, bottom = nodes[link.source], nodes[link.target]
        label = _Item(top.level - 1, 2.0, LABEL + link.width, link.height)
        chain = [label, *(_Item(level) for level in range(top.level - 2, bottom.level, -1))]
        inside, many = operands[link.target].index(k), len(operands[link.target])
        arcs = [_Arc(a, b) for a, b in pairwise([top, *chain])]
        arcs.append(_Arc(chain[-1], bottom, (inside + 1) / (many + 1) - 0.5, 1 / (many + 1)))
        for arc in arcs:
            arc.upper.below.append(arc)
            arc.lower.above.append(arc)
        chains.append(chain)
    return nodes, chains, operands


# --- the order on each level --------------------------------------------------------------------------------------------------


def _before(
    operands: list[list[int]], nodes: list[_Item], links: Sequence[Link], chains: list[list[_Item]]
) -> dict[int, list[_Item]]:  # fmt: skip
    """Which items must stand to the right of an item (by identity): the next operand of the same node, on the two levels above it.

    Two products of the same factors in both orders ask for what cannot be; the later one's wish is then left out.
    """
    after: dict[int, list[_Item]] = defaultdict(list)

    def leads(start: _Item, goal: _Item) -> bool:
        reached, fresh = {id(start)}, [start]
        while fresh:
            for item in after[id(fresh.pop())]:
                if id(item) not in reached:
                    reached.add(id(item))
                    fresh.append(item)
        return id(goal) in reached

    for incoming in operands:
        for left, right in pairwise(incoming):
            for k in (1, 2):
                a, b = (([nodes[links[one].source], *chains[one]])[-k] for one in (left, right))
                if not leads(b, a):
                    after[id(a)].append(b)
    return after


def _order(levels: list[list[_Item]], after: dict[int, list[_Item]]) -> None:
    """Sorts every level so that few lines cross."""
    best, fewest = levels, inf
    _place(levels)
    for sweep in range(ORDERS):
        upwards = sweep % 2 == 0
        for level in levels if upwards else reversed(levels):
            if upwards:
                wishes = [_middle(arc.place for arc in item.below) for item in level]
            else:
                wishes = [_middle(arc.upper.place for arc in item.above) for item in level]
            level[:] = _sorted(level, [item.place if wish is None else wish for item, wish in zip(level, wishes, strict=True)], after)
            _place([level])
        crossings = _crossings(levels)
        if crossings < fewest:
            best, fewest = [list(level) for level in levels], crossings
    for level, chosen in zip(levels, best, strict=True):
        level[:] = chosen


def _middle(places: Iterable[float]) -> float | None:
    found = list(places)
    return sum(found) / len(found) if found else None


def _place(levels: Iterable[list[_Item]]) -> None:
    for level in levels:
        for k, item in enumerate(level):
            item.place, item.share = (k + 0.5) / len(level), 1 / len(level)


def _sorted(level: list[_Item], wishes: list[float], after: dict[int, list[_Item]]) -> list[_Item]:
    """By wish, but for what must stand to the right of another: always the least of those that nothing waits for."""
    waits: dict[int, int] = defaultdict(int)
    for item in level:
        for other in after.get(id(item), ()):
            waits[id(other)] += 1
    entry = {id(item): (wish, k, item) for k, (item, wish) in enumerate(zip(level, wishes, strict=True))}
    free = [entry[id(item)] for item in level if not waits[id(item)]]
    heapify(free)
    found: list[_Item] = []
    while free:
        item = heappop(free)[2]
        found.append(item)
        for other in after.get(id(item), ()):
            waits[id(other)] -= 1
            if not waits[id(other)]:
                heappush(free, entry[id(other)])
    return found


def _crossings(levels: list[list[_Item]]) -> int:
    """How many pairs of lines cross between neighbouring levels."""
    total = 0
    for level in levels:
        seen: list[float] = []
        for item in level:
            ends = sorted(arc.place for arc in item.below)
            total += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return total


# --- the positions on each level ----------------------------------------------------------------------------------------------


def _shift(levels: list[list[_Item]]) -> None:
    """Moves items towards their neighbours without changing their order or letting them overlap."""
    for level in levels:
        _settle(level, [0.0] * len(level))
    for sweep in range(SHIFTS):
        upwards, last = sweep % 2 == 0, sweep >= SHIFTS // 2
        for level in levels if upwards else reversed(levels):
            wanted: list[float] = []
            for item in level:
                near = [arc.lower.x + arc.end for arc in item.below] if upwards or last else []
                near += [arc.upper.x - arc.end for arc in item.above] if not upwards or last else []
                wish = _middle(near)
                wanted.append(item.x if wish is None else wish)
            _settle(level, wanted)
    for level in reversed(levels):  # long lines run straight as far as their neighbours allow, and bend once
        for k, item in enumerate(level):
            if item.right == 0 and item.above:
                least = level[k - 1].x + level[k - 1].right + BESIDE if k else -inf
                most = level[k + 1].x - level[k + 1].left - BESIDE if k + 1 < len(level) else inf
                item.x = min(max(item.above[0].upper.x, least), most)


def _settle(level: list[_Item], wanted: list[float]) -> None:
    """The positions nearest to the wanted ones (least squares) that keep the order and the distances: isotonic regression."""
    offsets = list(accumulate((a.right + BESIDE + b.left for a, b in pairwise(level)), initial=0.0))
    blocks: list[tuple[float, int]] = []  # sum and number of what stands as close together as it may
    for want, offset in zip(wanted, offsets, strict=False):
        total, many = want - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / many:
            total, many = total + blocks[-1][0], many + blocks.pop()[1]
        blocks.append((total, many))
    starts = [total / many for total, many in blocks for _ in range(many)]
    for item, start, offset in zip(level, starts, offsets, strict=False):
        item.x = start + offset


# --- the drawing --------------------------------------------------------------------------------------------------------------


def _drawing(
    sizes: Sequence[tuple[float, float]], links: Sequence[Link], levels: list[list[_Item]], nodes: list[_Item], chains: list[list[_Item]]
) -> Layout:
    everything = [item for level in levels for item in level]
    left = min((item.x - item.left for item in everything), default=0.0) - MARGIN
    for item in everything:
        item.x = round(item.x - left, 1)
    tops, height = [0.0] * len(levels), MARGIN
    tall = [max((item.height for item in level), default=0.0) for level in levels]
    for k in reversed(range(len(levels))):
        aside = max((abs(arc.upper.x - arc.lower.x - arc.end) for item in levels[k] for arc in item.above), default=0.0)
        height += min(max(BELOW, aside / STEEPEST), TALLEST) if k + 1 < len(levels) else 0.0
        tops[k] = round(height, 1)
        height += tall[k]
    boxes = tuple(
        Box(round(item.x - width / 2, 1), round(tops[item.level] + (tall[item.level] - high) / 2, 1), width, high)
        for item, (width, high) in zip(nodes, sizes, strict=True)
    )
    routes: list[Route] = []
    for link, chain in zip(links, chains, strict=True):
        source, target = nodes[link.source], nodes[link.target]
        end = round(target.x + chain[-1].below[0].end, 1)
        points = [(source.x, boxes[link.source].y + boxes[link.source].height), (source.x, tops[source.level] + tall[source.level])]
        for item in chain:
            points += [(item.x, tops[item.level]), (item.x, tops[item.level] + tall[item.level])]
        points += [(end, tops[target.level]), (end, boxes[link.target].y)]
        rounded = [(x, round(y, 1)) for x, y in points]
        label = Box(round(chain[0].x + LABEL, 1), tops[chain[0].level], link.width, link.height)
        routes.append(Route(tuple(p for p, q in pairwise([*rounded, (-1.0, -1.0)]) if p != q), label))
    width = max((item.x + item.right for item in everything), default=0.0) + MARGIN
    return Layout(round(width, 1), round(height + MARGIN, 1), boxes, tuple(routes))
