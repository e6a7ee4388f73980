"""The pages in a real browser: quiet, offline, accessible, usable by keyboard, on a phone, on paper and without script."""

import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_report import HOSTILE, a_hostile_verdict, a_run

from matcalc.report import write_html

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed, and pages are tested in a browser")
CHROMIUM = os.environ.get("MATCALC_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium was found; put one on the path or name it in MATCALC_CHROMIUM")
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGES = {"index": "index.html", "claims": "claims.html", "verified": "rules/softmax.html", "failing": "rules/skew_product.html"}
Visit = Callable[..., Any]
every_page = pytest.mark.parametrize("name", PAGES)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser, started once."""
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report, written once."""
    return write_html(a_run(a_hostile_verdict()), tmp_path_factory.mktemp("pages") / "report").parent


@pytest.fixture
def visit(chromium: Any, folder: Path) -> Iterator[Visit]:
    """Opens a page of the report offline; whatever it complains about or asks of the network fails the test."""
    complaints: list[str] = []
    contexts: list[Any] = []

    def open_page(name: str = "index", **options: Any) -> Any:
        context = chromium.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: request.url.startswith("file:") or complaints.append(request.url))
        page.add_init_script(
            "window.violations = [];"
            "addEventListener('securitypolicyviolation', e => violations.push(e.violatedDirective + e.blockedURI), true)"
        )
        page.goto((folder / PAGES.get(name, name)).as_uri())
        page.evaluate("document.fonts.ready")
        if options.get("java_script_enabled", True):
            complaints.extend(page.evaluate("window.violations"))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints


def visible_rules(page: Any) -> list[str]:
    """Names of the rules that the table shows, in its order."""
    return page.locator("#table tbody tr:visible .rule a").all_text_contents()


@every_page
def test_pages_are_quiet_and_local(visit: Visit, name: str) -> None:
    """Nothing is asked of the network, nothing is blocked, nothing is said on the console."""
    page = visit(name)
    assert page.evaluate("violations") == []
    assert page.evaluate("document.fonts.size") >= 3


@every_page
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_axe_finds_nothing(visit: Visit, name: str, scheme: str) -> None:
    """The rules of WCAG 2.2 A and AA and axe's best practices hold in both themes."""
    page = visit(name, color_scheme=scheme)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    result = page.evaluate(
        "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],"
        " resultTypes: ['violations'], preload: false })"
    )
    found = [
        (violation["id"], node["html"][:200], node["failureSummary"]) for violation in result["violations"] for node in violation["nodes"]
    ]
    assert found == []
    assert len(result["passes"]) > 20


def test_contrast_of_plots_by_arithmetic(visit: Visit) -> None:
    """Words in a plot, which axe leaves undecided, stand out from the page by 4.5 to 1, lines and dots by 3 to 1."""
    for scheme in ("light", "dark"):
        page = visit("verified", color_scheme=scheme)
        found = page.evaluate("""() => {
          const style = getComputedStyle(document.documentElement);
          const light = name => {
            const hex = style.getPropertyValue(name).trim().slice(1), full = hex.length === 3 ? [...hex].map(c => c + c).join("") : hex;
            const part = i => parseInt(full.slice(i, i + 2), 16) / 255;
            const [r, g, b] = [0, 2, 4].map(part).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
          return Object.fromEntries(["--soft", "--ink", "--accent", "--bad", "--s2", "--s3"].map(name => [name, ratio(name, "--bg")]));
        }""")
        assert {name: ratio for name, ratio in found.items() if ratio < 4.5} == {}


def test_the_table_is_searched_filtered_and_sorted(visit: Visit) -> None:
    """Words, facets and columns work together, and the address carries them to the next visit."""
    page = visit()
    assert set(visible_rules(page)[:2]) == {"skew_product", HOSTILE}
    page.keyboard.press("/")
    page.keyboard.type("giles matmul")
    assert visible_rules(page) == ["matmul"]
    assert page.locator("#count").inner_text() == "1 of 8 rules"
    assert page.url.endswith("#q=giles+matmul")
    page.keyboard.press("Escape")
    page.select_option("[data-facet=topic]", "products")
    page.select_option("[data-facet=status]", "proved")
    assert visible_rules(page) == ["matmul", "trace"]
    page.get_by_role("button", name="Rule", exact=True).click()
    page.get_by_role("button", name="Rule", exact=True).click()
    assert visible_rules(page) == ["trace", "matmul"]
    assert page.locator("th[data-key=name]").get_attribute("aria-sort") == "descending"
    page.reload()
    assert visible_rules(page) == ["trace", "matmul"]
    page.select_option("[data-facet=oracle]", "balls")
    assert visible_rules(page) == []
    page.select_option("[data-facet=oracle]", "prime field")
    assert visible_rules(page) == ["trace", "matmul"]
    page.select_option("[data-facet=status]", "refuted")
    page.locator("[data-facet=near]").check()
    assert page.locator("#none").is_visible()
    page.locator("#reset").click()
    assert len(visible_rules(page)) == 8
    page.get_by_role("button", name="Error / tolerance").click()
    assert visible_rules(page)[-1] == "empty_sum"
    assert page.get_by_role("row").count() >= 9


def test_a_claim_leads_to_its_evidence(visit: Visit) -> None:
    """Cells of the grid and lines of claims open the list of just the rules they count; cells without a rule are hatched."""
    page = visit("claims")
    never = page.locator("td.never").first
    assert "gradient" in never.evaluate("cell => getComputedStyle(cell).backgroundImage")
    page.locator("tr", has_text="products").locator("a[href*='prime']").click()
    page.wait_for_url("**/index.html#*")
    assert visible_rules(page) == ["matmul", "trace"]
    page.keyboard.press("c")
    page.wait_for_url("**/claims.html")
    page.get_by_role("link", name="these rules").last.click()
    page.wait_for_url("**/index.html#*")
    assert visible_rules(page) == ["softmax"]


def test_the_keyboard_leads_everywhere(visit: Visit) -> None:
    """Skip link, previous and next rule, index, theme and the list of keys are all reached without a mouse."""
    page = visit("verified", color_scheme="light")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("]")
    page.wait_for_url("**/skew_product.html")
    page.keyboard.press("[")
    page.wait_for_url("**/softmax.html")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.keyboard.press("t")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#keys").is_visible()
    page.keyboard.press("i")
    page.wait_for_url("**/index.html")


def test_code_and_tex_are_copied(visit: Visit) -> None:
    """The copy buttons put the source, the TeX and the command on the clipboard."""
    page = visit("verified", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy TeX of formula 3").click()
    page.wait_for_function("document.getElementById('live').textContent === 'Copied'")
    assert page.evaluate("navigator.clipboard.readText()") == r"\bar x = p \odot (\bar p - p^\top \bar p)"
    page.locator("button[data-copy='#code']").click()
    page.wait_for_function("navigator.clipboard.readText().then(text => text.startsWith('@rule('))")


@pytest.mark.parametrize("name", [*PAGES, "hostile"])
def test_a_phone_needs_no_sideways_scroll(visit: Visit, folder: Path, name: str) -> None:
    """At 360 pixels only tables, code and formulas scroll, each in its own box."""
    if name == "hostile":
        name = f"rules/{next(path.name for path in (folder / 'rules').iterdir() if path.name.startswith('img'))}"
    page = visit(name, viewport={"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@every_page
def test_everything_is_there_without_script(visit: Visit, name: str) -> None:
    """Table, formulas, plots and code are read without script, and no button promises what it cannot do."""
    page = visit(name, java_script_enabled=False)
    assert page.locator("math").first.is_visible()
    assert page.locator("button:visible").count() == (4 if name == "index" else 0)  # the heads of columns, which look like words
    if name == "index":
        assert page.locator("#table tbody tr").count() == 8
    elif name == "claims":
        assert page.locator(".claims > li").count() > 5
        assert page.locator(".coverage tbody tr").count() == 5
    else:
        assert page.locator(".plots svg").count() == 3
        assert page.locator("#code").is_visible()


def test_hostile_strings_stay_strings(visit: Visit, folder: Path) -> None:
    """A rule made of markup runs nothing and adds no element, on its page and on the index."""
    hostile = next(path for path in (folder / "rules").iterdir() if path.name.startswith("img"))
    for name in ("index", f"rules/{hostile.name}"):
        page = visit(name)
        assert page.evaluate("window.hacked") is None
        assert page.locator("img").count() == 0
        assert HOSTILE in page.locator("main").inner_text()


def test_formulas_use_our_font(visit: Visit) -> None:
    """A formula is laid out with the bundled font and no other."""
    page = visit("failing")
    session = page.context.new_cdp_session(page)
    session.send("DOM.enable")
    session.send("CSS.enable")
    root = session.send("DOM.getDocument", {"depth": -1})["root"]["nodeId"]
    node = session.send("DOM.querySelector", {"nodeId": root, "selector": ".eq.main math"})["nodeId"]
    fonts = session.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
    assert {(font["familyName"], font["isCustomFont"]) for font in fonts} == {("STIX Two Math", True)}


def test_the_bar_is_drawn(visit: Visit) -> None:
    """The bar of an adjoint, which carries its meaning, is there at every size, with a gap between it and its letter."""
    page = visit("failing")
    for size in range(14, 34, 2):
        box = page.evaluate(
            """size => {
              const formula = document.querySelector(".eq.main math");
              formula.style.fontSize = size + "px";
              formula.scrollIntoView({ block: "center", behavior: "instant" });
              const { x, y, width, height } = formula.querySelector("mover").getBoundingClientRect();
              return { x: x - 1, y: y - 2, width: width + 2, height: height + 4 };
            }""",
            size,
        )
        rows = rows_with_ink(page.screenshot(clip=box))
        stretches = "".join("#" if ink else " " for ink in rows).split()
        assert len(stretches) == 2, f"{size} px: {rows}"


def rows_with_ink(png: bytes) -> list[bool]:
    """Whether each row of a screenshot holds anything much darker than its first pixel."""
    position, packed, width, channels = 8, b"", 0, 0
    while position < len(png):
        length, kind = int.from_bytes(png[position : position + 4], "big"), png[position + 4 : position + 8]
        data = png[position + 8 : position + 8 + length]
        if kind == b"IHDR":
            width, channels = int.from_bytes(data[:4], "big"), {2: 3, 6: 4}[data[9]]
        if kind == b"IDAT":
            packed += data
        position += length + 12
    raw, stride = zlib.decompress(packed), width * channels
    above, found = bytes(stride), []
    for start in range(0, len(raw), stride + 1):
        kind, line = raw[start], bytearray(raw[start + 1 : start + 1 + stride])
        for i in range(stride):  # undoes the prediction of each byte from its neighbours, as PNG defines it
            left, up, corner = (line[i - channels], above[i], above[i - channels]) if i >= channels else (0, above[i], 0)
            nearest = min((left, up, corner), key=lambda value: abs(left + up - corner - value))
            line[i] = (line[i] + (0, left, up, (left + up) // 2, nearest)[kind]) % 256
        above = bytes(line)
        if start == 0:
            paper = above[0]
        found.append(min(line[::channels]) < paper - 60)
    return found


@every_page
def test_a_page_prints(visit: Visit, name: str) -> None:
    """On paper there are several pages, without bars and buttons, black on white even from the dark theme."""
    page = visit(name, color_scheme="dark")
    pdf = page.pdf()
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") + pdf.count(b"/Type/Page") >= 1
    page.emulate_media(media="print")
    assert not page.locator(".top").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
