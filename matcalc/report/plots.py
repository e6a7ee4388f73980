"""Plots as SVG: drawn without a library, coloured by the page's style sheet, readable without script, on paper and in the dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10
from statistics import median
from sys import float_info

from markupsafe import Markup

from matcalc.report.words import count, number
from matcalc.verdict import Curve

WIDTH, HEIGHT = 440, 290
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 14, 44
LETTER = 6.6  # of a label, in pixels
EPSILON = float_info.epsilon


@dataclass(frozen=True)
class Plot:
    """A picture, what it shows in words, and the numbers in it as a table."""

    title: str
    finding: str
    svg: Markup
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


# --- the three plots --------------------------------------------------------------------------------------------------------


def step_curve(curve: Curve) -> Plot | None:
    """Error of the plain central difference against its step; None if there is nothing to draw."""
    points = [(h, e) for h, e in zip(curve.steps, curve.errors, strict=False) if h > 0 and isfinite(h) and isfinite(e)]
    if not points:
        return None
    levels = [e for e in (curve.estimate, curve.extrapolated) if isfinite(e)]
    best = min(points, key=lambda point: point[1])
    axes = _Axes([h for h, _ in points], [*(e for _, e in points), *(level / 10 for level in levels)])  # room for their names
    parts = [axes.grid("step", "relative error")]
    parts.append(axes.line("l1", points))
    parts += [
        Markup('<circle class="p1" cx="{}" cy="{}" r="3"><title>step {}: error {}</title></circle>').format(
            axes.x(h), axes.y(e), number(h), number(e)
        )
        for h, e in points
    ]
    words = f"{number(best[1])} at {number(best[0])}"
    half = LETTER * len(words) / 2 + 4  # so that it lies on neither axis
    middle = min(max(axes.x(best[0]), LEFT + half), WIDTH - RIGHT - half)
    parts.append(axes.text(_round(middle), axes.y(best[1]) + 16, words, "lab1", anchor="middle"))
    for level, label, kind in ((curve.estimate, "claimed", "3"), (curve.extrapolated, "extrapolated", "2")):
        if isfinite(level):
            parts.append(axes.level(level, f"l{kind}"))
            above = level >= max(levels)
            parts.append(
                axes.text(WIDTH - RIGHT - 4, axes.y(level) + (-5 if above else 14), f"{label}: {number(level)}", f"lab{kind}", "end")
            )
    finding = (
        f"At one case the plain central difference comes closest to the rule at step {number(best[0])}, with relative error "
        f"{number(best[1])}: to the right of it truncation rules, to the left rounding. Extrapolated, it differs from the rule by "
        f"{number(curve.extrapolated)} and claims an error of {number(curve.estimate)} for itself."
    )
    return Plot(
        "Finite-difference error against step", finding, axes.drawing("step", "Finite-difference error against step", finding, parts),
        ("step", "relative error"), tuple((number(h), number(e)) for h, e in points),
    )  # fmt: skip


def error_against_condition(conditions: Sequence[float], errors: Sequence[float]) -> Plot | None:
    """Relative error of the rule against the condition number of its derivative, a dot for each case."""
    points = [(k, e) for k, e in zip(conditions, errors, strict=False) if k > 0 and isfinite(k) and isfinite(e)]
    if not points:
        return None
    zeros = sum(e == 0 for _, e in points)
    left_out = min(len(conditions), len(errors)) - len(points)
    axes = _Axes([k for k, _ in points], [*(e for _, e in points if e), EPSILON, 100 * EPSILON * max(k for k, _ in points)])
    ends = (axes.low_x, axes.high_x)
    parts = [axes.grid("condition number", "relative error")]
    parts.append(axes.line("guide", [(k, EPSILON * k) for k in ends]))
    parts.append(axes.line("tol", [(k, 100 * EPSILON * k) for k in ends]))
    dots = "".join(f"M{axes.x(k)} {axes.y(e)}h0" for k, e in points)
    parts.append(Markup('<path class="dots" d="{}"/>').format(dots))
    parts.append(axes.text(WIDTH - RIGHT - 4, axes.y(100 * EPSILON * ends[1]) - 5, "tolerance", "tolt", "end"))
    worst = max(e / k / EPSILON for k, e in points)
    finding = f"The largest error is {number(worst)} times condition times machine epsilon (dotted line)"
    finding += "; the tolerance allows 100 times (dashed line)."
    finding += f" {count(zeros, 'error')} of exactly 0 {'is' if zeros == 1 else 'are'} drawn on the lower edge." if zeros else ""
    finding += f" {count(left_out, 'case')} without a finite number {'is' if left_out == 1 else 'are'} not drawn." if left_out else ""
    decades: dict[int, list[float]] = {}
    for k, e in points:
        decades.setdefault(floor(log10(k)), []).append(e)
    rows = ((f"1e{d} to 1e{d + 1}", str(len(es)), number(median(es)), number(max(es))) for d, es in sorted(decades.items()))
    return Plot(
        "Error against condition number", finding, axes.drawing("condition", "Error against condition number", finding, parts),
        ("condition number", "cases", "median error", "worst error"), tuple(rows),
    )  # fmt: skip


def margins(values: Iterable[float]) -> Plot | None:
    """How often which margin (error / tolerance) occurred, in half decades."""
    everything = list(values)
    finite = [m for m in everything if isfinite(m)]
    positive = [m for m in finite if m > 0]
    if not finite:
        return None
    zeros, left_out = len(finite) - len(positive), len(everything) - len(finite)
    bins: dict[int, int] = {}  # half decade -> how many
    for m in positive:
        half = max(floor(2 * log10(m)), -40)
        bins[half] = bins.get(half, 0) + 1
    lowest = min(bins, default=-2) - 2  # where the zeros are drawn: one gap to the left of the smallest
    axes = _Axes([10 ** (lowest / 2), 10.0, 10 ** (max(bins, default=0) / 2 + 0.5)], None, top=max(*bins.values(), zeros, 1) * 1.15)
    parts = [axes.grid("margin = error / tolerance", "comparisons")]
    for half, n in [*bins.items(), *([(lowest, zeros)] if zeros else [])]:
        x, right = axes.x(10 ** (half / 2)), axes.x(10 ** ((half + 1) / 2))
        label = "exactly 0" if half == lowest else f"{number(10 ** (half / 2))} to {number(10 ** ((half + 1) / 2))}"
        parts.append(
            Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}: {}</title></rect>').format(
                "bar over" if half >= 0 else "bar",
                x,
                axes.y(n),
                _round(max(right - x - 1, 0.5)),
                _round(HEIGHT - BOTTOM - axes.y(n)),
                label,
                n,
            )
        )
    if zeros:
        middle = (axes.x(10 ** (lowest / 2)) + axes.x(10 ** ((lowest + 1) / 2))) / 2
        parts.append(axes.text(_round(middle), axes.y(zeros) - 4, "0", "", "middle"))
    parts.append(Markup('<path class="tol" d="M{} {}V{}"/>').format(axes.x(1.0), TOP, HEIGHT - BOTTOM))
    parts.append(axes.text(axes.x(1.0) - 4, TOP + 12, "tolerance", "tolt", "end"))
    over = sum(m > 1 for m in finite) + left_out
    finding = (
        f"Of {count(len(everything), 'comparison')}, {over or 'none'} went over the tolerance; the largest margin is {number(max(finite))}."
    )
    finding += f" {count(zeros, 'error')} {'was' if zeros == 1 else 'were'} exactly 0." if zeros else ""
    finding += f" {count(left_out, 'margin')} {'was' if left_out == 1 else 'were'} not finite and cannot be drawn." if left_out else ""
    rows = [("exactly 0", str(zeros))] if zeros else []
    rows += [(f"{number(10 ** (half / 2))} to {number(10 ** ((half + 1) / 2))}", str(n)) for half, n in sorted(bins.items())]
    return Plot(
        "Distribution of margins", finding, axes.drawing("margins", "Distribution of margins", finding, parts),
        ("margin", "comparisons"), tuple(rows),
    )  # fmt: skip


# --- how they are drawn -----------------------------------------------------------------------------------------------------


class _Axes:
    """Two axes in pixels: x logarithmic; y logarithmic too, or linear from 0 to `top`."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float] | None, top: float = 0) -> None:
        self.low_x, self.high_x = _decades(xs)
        self.top = top
        self.low_y, self.high_y = _decades(ys) if ys is not None else (0.0, top)

    def x(self, value: float) -> float:
        return _round(LEFT + (WIDTH - LEFT - RIGHT) * _share(value, self.low_x, self.high_x))

    def y(self, value: float) -> float:
        share = value / self.high_y if self.top else _share(value, self.low_y, self.high_y)
        return _round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share)

    def grid(self, x_name: str, y_name: str) -> Markup:
        parts: list[Markup] = []
        for exponent in _exponents(self.low_x, self.high_x, most=7):
            x = self.x(10.0**exponent)
            parts.append(
                Markup('<path class="grid" d="M{} {}V{}"/>').format(x, TOP, HEIGHT - BOTTOM)
                + _power(x, HEIGHT - BOTTOM + 16, exponent, "middle")
            )
        if self.top:
            rough = max(self.top / 4, 1)
            step = next(int(m * 10 ** floor(log10(rough))) for m in (1, 2, 5, 10) if m * 10 ** floor(log10(rough)) >= rough)
            ticks = [(self.y(n), self.text(LEFT - 6, self.y(n) + 4, str(n), "", "end")) for n in range(0, int(self.top) + 1, step)]
        else:
            powers = [(self.y(10.0**e), e) for e in _exponents(self.low_y, self.high_y, most=6)]
            ticks = [(y, _power(LEFT - 6, y + 4, e, "end")) for y, e in powers]
        parts += [Markup('<path class="grid" d="M{} {}H{}"/>').format(LEFT, y, WIDTH - RIGHT) + label for y, label in ticks]
        parts.append(Markup('<path class="axis" d="M{} {}V{}H{}"/>').format(LEFT, TOP, HEIGHT - BOTTOM, WIDTH - RIGHT))
        parts.append(self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_name, "name", "middle"))
        middle = (TOP + HEIGHT - BOTTOM) / 2
        parts.append(
            Markup('<text class="name" x="12" y="{0}" text-anchor="middle" transform="rotate(-90 12 {0})">{1}</text>').format(
                middle, y_name
            )
        )
        return Markup("").join(parts)

    def line(self, kind: str, points: Iterable[tuple[float, float]]) -> Markup:
        return Markup('<path class="{}" d="M{}"/>').format(kind, "L".join(f"{self.x(x)} {self.y(y)}" for x, y in points))

    def level(self, y: float, kind: str) -> Markup:
        return Markup('<path class="{}" d="M{} {}H{}"/>').format(kind, LEFT, self.y(y), WIDTH - RIGHT)

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> Markup:
        return Markup('<text class="halo {}" x="{}" y="{}" text-anchor="{}">{}</text>').format(kind, x, y, anchor, words)

    def drawing(self, key: str, title: str, finding: str, parts: Iterable[Markup]) -> Markup:
        head = Markup(
            '<svg viewBox="0 0 {0} {1}" role="img" aria-labelledby="{2}-title {2}-finding"><title id="{2}-title">{3}</title>'
        ).format(WIDTH, HEIGHT, key, title)
        return head + Markup('<desc id="{}-finding">{}</desc>').format(key, finding) + Markup("").join(parts) + Markup("</svg>")


def _decades(values: Iterable[float]) -> tuple[float, float]:
    """Powers of ten around the positive values, at least one decade apart."""
    logs = [log10(v) for v in values if v > 0 and isfinite(v)] or [0.0]
    low, high = max(floor(min(logs)), -300), min(ceil(max(logs)), 300)
    return 10.0**low, 10.0 ** max(high, low + 1)


def _share(value: float, low: float, high: float) -> float:
    """Where a value stands between two others on a logarithmic scale; what lies outside stands on the edge."""
    if value <= low:
        return 0.0
    return min(log10(value / low) / log10(high / low), 1.0)


def _exponents(low: float, high: float, most: int) -> range:
    first, last = round(log10(low)), round(log10(high))
    return range(first, last + 1, max(1, ceil((last - first) / most)))


def _power(x: float, y: float, exponent: int, anchor: str) -> Markup:
    """10 with its exponent raised, as a label of an axis."""
    sign = "−" if exponent < 0 else ""
    return Markup('<text x="{}" y="{}" text-anchor="{}">10<tspan class="up" dy="-5">{}{}</tspan></text>').format(
        x, y, anchor, sign, abs(exponent)
    )


def _round(x: float) -> float:
    return round(x, 1)
