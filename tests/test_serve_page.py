"""The page to try it in a real browser: typed, read along, checked by keyboard, linked, narrow, dark, without script, and attacked."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from test_pages import AXE, CHROMIUM, FLAGS, sync_api
from test_serve import Site, served

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium was found; put one on the path or name it in MATCALC_CHROMIUM")
Visit = Callable[..., Any]
QUADRATIC = {"f": "x'*A*x", "wrt": "x", "claim": "2*A*x"}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser, started once."""
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with served() as running:
        yield running


@pytest.fixture
def visit(chromium: Any, site: Site) -> Iterator[Visit]:
    """Opens the page; whatever it complains about, or asks of another address, fails the test."""
    complaints: list[str] = []
    pages: list[Any] = []

    def open_page(after: str = "", **options: Any) -> Any:
        context = chromium.new_context(**options)
        context.set_default_timeout(20_000)
        page = context.new_page()
        pages.append(page)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: request.url.startswith((site.address, "data:")) or complaints.append(request.url))
        page.add_init_script(
            "window.violations = [];"
            "addEventListener('securitypolicyviolation', e => violations.push(e.violatedDirective + e.blockedURI), true)"
        )
        page.goto(site.address + after)
        return page

    yield open_page
    for page in pages:
        complaints.extend(page.evaluate("window.violations ?? []"))
        page.context.close()
    assert not complaints


def fill(page: Any, **boxes: str) -> None:
    for box, text in boxes.items():
        page.fill(f"#{box}", text)


def verdict(page: Any) -> str:
    """The verdict, once it is there."""
    page.wait_for_selector('#result[aria-busy="false"] .verdict')
    return str(page.locator("#verdict").inner_text()).strip()


def test_what_is_typed_is_read_along(visit: Visit) -> None:
    """The formula is typeset while it is typed, with its shape, its variables and four spellings, of which each can be copied."""
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    page.keyboard.press("/")
    page.keyboard.type("log(det(K))")
    page.wait_for_selector("#said-f math")
    assert page.locator("#said-f math").get_attribute("alttext") == r"\log\det(K)"
    assert "a scalar" in page.locator("#said-f").inner_text()
    assert "matrix n×n, by its name" in page.locator("#said-variables").inner_text()
    assert page.locator("#names option").evaluate_all("all => all.map(one => one.value)") == ["K"]
    page.locator("#said-spelled summary").first.click()
    assert page.locator("#said-spelled .spelled code").all_inner_texts() == ["log(det(K))", "log(det(K))", r"\log\det(K)", "log det(K)"]
    page.get_by_role("button", name="Copy as LaTeX").click()
    assert page.evaluate("navigator.clipboard.readText()") == r"\log\det(K)"
    assert page.locator("#live").inner_text() == "Copied"
    page.fill("#f", "2*log(det(K))")
    page.wait_for_selector("#said-f math[alttext^='2']")
    assert page.locator("#said-spelled .spelled").is_visible()


def test_what_does_not_fit_is_underlined_and_repaired(visit: Visit) -> None:
    """The place is marked, the sentence names both shapes, and a button that is reached by keyboard puts it right."""
    page = visit()
    fill(page, f="y'*x^2")
    page.wait_for_selector("#said-f mark")
    assert page.locator("#said-f mark").inner_text() == "x^2"
    assert "a vector has no power 2" in page.locator("#said-f").inner_text()
    assert page.locator("#f").get_attribute("aria-invalid") == "true"
    assert page.locator("#said-f mark").evaluate("mark => getComputedStyle(mark).textDecorationStyle") == "wavy"
    page.focus("#f")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "x.^2"
    page.keyboard.press("Enter")
    page.wait_for_selector("#said-f math")
    assert page.input_value("#f") == "y'*x.^2"
    assert page.locator("#f").get_attribute("aria-invalid") == "false"


def test_a_wrong_claim_by_keyboard(visit: Visit) -> None:
    """From an empty page to the explanation, the counterexample, the right answer and its proof, without a mouse."""
    page = visit()
    page.keyboard.press("/")
    page.keyboard.type("x'*A*x")
    for text in ("x", "2*A*x"):
        page.keyboard.press("Tab")
        while page.evaluate("document.activeElement.matches('summary, button')"):
            page.keyboard.press("Tab")
        page.keyboard.type(text)
    page.keyboard.press("Enter")
    assert verdict(page) == "Refuted"
    assert page.locator(".verdict.refuted .sign").count() == 1
    assert page.locator("#live").inner_text().startswith("Refuted. The claim is not the gradient.")
    assert "symmetric" in page.locator(".suspicions").first.inner_text()
    assert "the claim says" in page.locator(".verdict").inner_text()
    assert page.locator(".answer math").get_attribute("alttext") == r"(A + A^\top) x"
    page.get_by_role("button", name="Claim this instead").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".verdict.proved")
    assert page.input_value("#claim") == "(A + A')*x"
    assert page.locator("#live").inner_text() == "Proved. The claim is the gradient."


def focused(page: Any) -> str:
    """The id of what has the focus, or its name and text."""
    return str(page.evaluate("(e => e.id || e.tagName + ' ' + e.textContent)(document.activeElement)"))


def test_tab_leads_from_box_to_box(visit: Visit) -> None:
    """What the boxes are read as lies between them, and takes no focus, nor loses it when it changes."""
    page = visit("#" + urlencode(QUADRATIC, quote_via=quote))
    verdict(page)
    page.focus("#f")
    for box in ("wrt", "claim", "kind", "variables", "spelling"):
        page.keyboard.press("Tab")
        assert focused(page) == box
    page.focus("#f")
    page.keyboard.press("Control+A")
    page.keyboard.type("norm(x)**2")
    page.keyboard.press("Tab")
    page.wait_for_selector("#said-f math[alttext*='2']")
    assert focused(page) == "wrt"


def test_the_focus_stays_where_the_text_changes(visit: Visit) -> None:
    """On a fold whose formula is another one; and in the box where what had it is gone."""
    page = visit()
    fill(page, f="det(K)")
    page.wait_for_selector("#said-spelled summary")
    page.fill("#f", "2*det(K)")
    page.focus("#said-spelled summary")
    page.wait_for_selector("#said-f math[alttext^='2']")
    assert focused(page) == "SUMMARY f in four spellings"
    fill(page, f="y'*x^2")
    page.wait_for_selector("#said-f button")
    page.fill("#f", "y'*x")
    page.focus("#said-f button")
    page.wait_for_selector("#said-f math")
    assert focused(page) == "f"


def test_an_answer_ages_with_its_question(visit: Visit) -> None:
    """As soon as a box is another, the verdict below is said to be of an earlier question; and no longer, where it is as it was."""
    page = visit("#" + urlencode(QUADRATIC, quote_via=quote))
    verdict(page)
    assert page.locator("#earlier").is_hidden()
    page.focus("#f")
    page.keyboard.press("End")
    page.keyboard.type("+")
    assert page.locator("#earlier").is_visible()
    assert page.locator("#result").evaluate("result => getComputedStyle(result).opacity") == "0.5"
    page.keyboard.press("Backspace")
    assert page.locator("#earlier").is_hidden()
    page.select_option("#kind", "hessian")
    assert page.locator("#earlier").is_visible()
    page.click(".check")
    page.wait_for_selector("#result[aria-busy='false']")
    assert page.locator("#earlier").is_hidden()


def test_steps_and_graph(visit: Visit) -> None:
    """Paths, simplifications with ticks, and a graph whose steps can be walked through."""
    page = visit("#" + urlencode(QUADRATIC, quote_via=quote))
    assert verdict(page) == "Refuted"
    assert page.locator(".derivation .tick.good").count() >= 2
    assert page.locator(".tick.bad").count() == 0
    assert {"through xᵀ", "through x"} <= set(page.locator(".derivation .rule").all_inner_texts())
    page.wait_for_selector(".stepper button:visible")
    page.locator(".stepper button").last.click()
    assert page.locator(".stepper output").inner_text().startswith("step 1 of")
    page.locator("summary", has_text="Table of the 5 nodes").click()
    assert "matmul" in page.locator(".graph").inner_text()
    assert page.locator(".astray").inner_text().startswith("✗ here the claim leaves the way back: ")
    assert page.locator("svg.values .leaves .here:visible").count() == page.locator("svg.values .leaves").count() > 0


def test_enter_breaks_lines_where_lines_are(visit: Visit) -> None:
    """In the declarations Enter is a new line, and Ctrl+Enter checks from everywhere."""
    page = visit()
    fill(page, f="log(det(K))")
    page.focus("#variables")
    page.keyboard.type("K: spd(n)")
    page.keyboard.press("Enter")
    assert page.input_value("#variables") == "K: spd(n)\n"
    page.keyboard.press("Control+Enter")
    assert verdict(page) == "Derived and proved"
    assert page.locator(".answer math").get_attribute("alttext") == "K^{-1}"


def test_a_link_shows_the_same(visit: Visit) -> None:
    """The address holds all boxes, so that whoever opens it sees the same verdict."""
    boxes = {"f": "log det X + λ & #?=", "wrt": "X", "claim": "X⁻¹"}
    page = visit()
    fill(page, f="log det(X) + λ", wrt="X", claim="X⁻¹", variables="X: spd(n)\nλ: real")
    page.select_option("#kind", "gradient")
    page.click(".check")
    assert verdict(page) == "Proved"
    again = visit(page.url.rpartition("/")[2])
    assert verdict(again) == "Proved"
    for box in ("f", "wrt", "claim", "variables", "kind", "spelling"):
        assert again.input_value(f"#{box}") == page.input_value(f"#{box}")
    again.evaluate("hash => { location.hash = hash }", urlencode(boxes, quote_via=quote))
    again.wait_for_selector("#said-f .trouble")
    assert again.input_value("#f") == boxes["f"]


def test_an_example_at_a_click(visit: Visit) -> None:
    """Filled and checked."""
    page = visit()
    page.get_by_role("link", name="sin(x)'*y").click()
    assert verdict(page) == "Derived and proved"
    assert page.input_value("#f") == "sin(x)'*y"


def test_without_script(chromium: Any, site: Site) -> None:
    """The form brings the same page back with the same verdict; nothing on it is a button that does nothing."""
    with chromium.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(site.address)
        fill(page, **QUADRATIC)
        page.click(".check")
        assert page.locator("#verdict").inner_text().strip() == "Refuted"
        assert page.locator("#said-claim math").count() == 1
        assert page.input_value("#claim") == QUADRATIC["claim"]
        assert page.locator("button:visible").all_inner_texts() == ["Check"]
        fill(page, f="x^2")
        page.click(".check")
        assert page.locator("#said-f mark").inner_text() == "x^2"
        assert page.locator("#said-f .repairs code:visible").first.inner_text() == "x.^2"
        page.get_by_role("link", name="log det(X)").click()
        assert page.input_value("#variables") == "X: spd(n)"
        assert page.locator("#verdict").inner_text().strip() == "Proved"


def test_a_variable_is_chosen_and_declared(visit: Visit) -> None:
    """Where several variables are possible, they are offered; so are declarations of a name that has none."""
    page = visit()
    fill(page, f="det(a*X)", variables="X: invertible(n)")
    page.get_by_role("button", name="a: real").click()
    page.wait_for_selector("#said-wrt button")
    page.locator("#said-wrt").get_by_role("button", name="X").click()
    assert page.input_value("#wrt") == "X"
    page.keyboard.press("Enter")
    assert verdict(page) == "Derived and proved"


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "boxes",
    [{}, QUADRATIC, {"f": "log(det(K))", "wrt": "K", "claim": "inv(K)'"}, {"f": "x^2 + A*y"}],
    ids=["empty", "refuted", "proved", "trouble"],
)
def test_axe_finds_nothing(visit: Visit, scheme: str, boxes: dict[str, str]) -> None:
    """The rules of WCAG 2.2 A and AA and axe's best practices hold in both themes, whatever is shown."""
    page = visit("#" + urlencode(boxes, quote_via=quote), color_scheme=scheme)
    if boxes:
        verdict(page)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    result = page.evaluate(
        "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],"
        " resultTypes: ['violations'], preload: false })"
    )
    found = [(each["id"], node["html"][:200], node["failureSummary"]) for each in result["violations"] for node in each["nodes"]]
    assert found == []


@pytest.mark.parametrize("width", [320, 700, 1280])
def test_nothing_sticks_out(visit: Visit, width: int) -> None:
    """On a phone as on a screen, the page scrolls in one direction."""
    page = visit("?example=notes7", viewport={"width": width, "height": 800})
    assert verdict(page) == "Refuted"
    page.locator("#said-spelled summary").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("box", ["f", "wrt", "claim", "variables"])
def test_what_is_typed_stays_text(visit: Visit, box: str) -> None:
    """Markup in a box is shown, in whatever piece of the page it comes back, and never obeyed."""
    attack = "\"><img src=x onerror=alert(1)><script>alert(2)</script></textarea><svg onload=alert(3)>'"
    boxes = {**QUADRATIC, box: attack}
    page = visit("#" + urlencode(boxes, quote_via=quote))
    verdict(page)
    page.wait_for_timeout(100)
    assert page.locator("main img, main script").count() == 0
    assert page.input_value(f"#{box}") == attack


def test_a_name_may_not_be_markup(visit: Visit) -> None:
    page = visit("#" + urlencode({"f": "K", "wrt": "K", "variables": "<b>K</b>: spd(n)\nK: spd(n)"}, quote_via=quote))
    verdict(page)
    assert page.locator("#said-variables b").count() == 0


def test_a_server_that_has_gone(chromium: Any) -> None:
    """What it does not answer is said, and nothing is left spinning."""
    with served() as site, chromium.new_context() as context:
        page = context.new_page()
        page.goto(site.address)
        fill(page, f="x")
        context.set_offline(True)
        page.click(".check")
        page.wait_for_selector("#result .banner")
        assert "does not answer" in page.locator("#result").inner_text()
        assert page.locator("#result").get_attribute("aria-busy") == "false"
