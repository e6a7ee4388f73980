"""A document with its verdicts as one HTML page: the author's text, and beside every claim and every number whether it is true.

The text is Markdown; HTML in it is shown, not obeyed, and nothing is fetched from elsewhere.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markupsafe import Markup

from matcalc.graph import Graph
from matcalc.notes.anchors import Anchors
from matcalc.notes.printed import Printed, printed
from matcalc.notes.reading import lines_of, markdown
from matcalc.notes.results import JudgedClaim, JudgedExample, JudgedNotes, Judgement
from matcalc.report.files import write_file
from matcalc.report.graph import fragment
from matcalc.report.inline import data, digest, inlined, text
from matcalc.report.matrices import fits, in_tex, summary
from matcalc.report.templating import environment, maths
from matcalc.report.words import clean
from matcalc.verdict import Status

LARGEST = 8
"Rows and columns of a matrix that is printed whole."
STATUS = {
    Judgement.TRUE: Status.VERIFIED,
    Judgement.FALSE: Status.REFUTED,
    Judgement.UNDECIDED: Status.INCONCLUSIVE,
    Judgement.UNREADABLE: Status.INCONCLUSIVE,
    Judgement.WORKED: Status.VACUOUS,
}
"Which of the signs and colours of the other pages each verdict has."


def write_notes(judged: JudgedNotes, path: Path) -> None:
    """Writes the document as one HTML file that needs no other; raises ReportError if the place cannot be written."""
    write_file(path, notes_page(judged))


def notes_page(judged: JudgedNotes) -> str:
    """The document as a page, with fonts, style and script in it, and a policy that allows just these."""
    style, script = inlined("report.css") + text("graph.css") + text("notes.css"), text("graph.js")
    shown = _Shown(judged)
    known: dict[str, Any] = {
        "page": shown,
        "judged": judged,
        "body": shown.body(),
        "style": Markup(style),  # noqa: S704  (our own files)
        "script": Markup(script),  # noqa: S704  (the same)
        "style_hash": digest(style),
        "script_hash": digest(script),
        "icon": data("icon.svg", "image/svg+xml"),
        "STATUS": STATUS,
        "Judgement": Judgement,
    }
    return environment().get_template("notes.html.jinja").render(known)


@dataclass
class _Shown:
    """What the templates ask of a document."""

    judged: JudgedNotes
    drawn: set[str] = field(default_factory=set[str])

    @property
    def title(self) -> str:
        """Its first heading, without formulas."""
        return re.sub(r"[$*_`]", "", self.judged.notes.title) or "Notes"

    @property
    def heading(self) -> str:
        """What the list of findings is called."""
        return "Errata" if self.judged.errata else "What is left open"

    @property
    def found(self) -> str:
        """How many findings there are of each kind, as in "3 false, 4 unreadable"."""
        counts = Counter(one.judgement for one in self.judged.findings)
        return ", ".join(f"{counts[each]} {each}" for each in Judgement if counts[each])

    def body(self) -> Markup:
        """The text with its blocks in place."""
        text = "\n".join(clean(line) for line in lines_of(self.judged.notes.text))
        places = {_line(block): block for block in self.judged.blocks}
        return Markup(_renderer(places, self).render(text))  # noqa: S704  (HTML is off, and every rule that was added escapes)

    def block(self, block: JudgedClaim | JudgedExample) -> Markup:
        """A claim or an example with its verdicts."""
        macros: Any = (
            environment().get_template("notes-parts.html.jinja").make_module({"page": self, "STATUS": STATUS, "Judgement": Judgement})
        )
        return macros.claim(block) if isinstance(block, JudgedClaim) else macros.example(block)

    def value(self, value: Any) -> Markup:
        """Numbers as a formula: one, a matrix, or a row of matrices."""
        if _depth(value) == 3:
            return Markup(" ").join(self.value(part) for part in value[:LARGEST])
        entries = tuple(tuple(row) for row in value) if isinstance(value, list) else ((value,),)
        return maths(in_tex(entries)) if fits(entries, LARGEST) else Markup("<span>{}</span>").format(summary(entries))

    def grids(self, text: str, wrong: Sequence[int] = ()) -> list[list[list[tuple[str, bool]]]]:
        """Printed numbers as matrices of words, each with whether it is wrong; empty where the text is a formula."""
        try:
            found = printed(text)
        except ValueError:
            return []
        return _grids(found, frozenset(wrong)) if found else []

    def graph(self, graph: Graph, name: str) -> Markup:
        """The graph, or nothing if it was drawn on this page before; every label in it has the name in it, so that no two are alike."""
        key = json.dumps(graph.json(), default=str)
        if key in self.drawn:
            return Markup("")
        self.drawn.add(key)
        labelled = Markup('aria-label="{}: ').format(name.removeprefix("n-"))
        return Markup(str(fragment(graph)).replace('aria-label="', labelled))  # noqa: S704  (markup, with escaped markup in it)


def _grids(found: Printed, wrong: frozenset[int]) -> list[list[list[tuple[str, bool]]]]:
    cells = [(one.text, k in wrong) for k, one in enumerate(found.figures)]
    rows, columns = (*((1,) if len(found.shape) < 2 else ()), *(found.shape or (1,)))[-2:]
    each = rows * columns
    return [[cells[at + r * columns : at + (r + 1) * columns] for r in range(rows)] for at in range(0, len(cells), each)] if each else []


def _depth(value: Any) -> int:
    return 1 + _depth(value[0]) if isinstance(value, list) and value else 0


def _line(block: JudgedClaim | JudgedExample) -> int:
    return block.claim.line if isinstance(block, JudgedClaim) else block.example.line


# --- Markdown -----------------------------------------------------------------------------------------------------------------------


def _renderer(places: dict[int, Any], shown: _Shown) -> MarkdownIt:
    """Markdown with formulas, in which claims and examples are replaced by what was found out about them."""
    md = markdown()
    anchors = Anchors("s-")
    md.inline.ruler.after("escape", "maths", _inline_maths)
    md.block.ruler.before("fence", "maths", _block_maths, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    md.validateLink = lambda url: bool(re.match(r"https?://|#", url))  # type: ignore[method-assign]

    def formula(self: Any, tokens: Any, at: int, options: Any, env: Any) -> str:
        del self, options, env
        token = tokens[at]
        if token.markup == "$":
            return maths(token.content)
        return Markup('<span class="display" tabindex="0" role="group" aria-label="Formula">{}</span>').format(
            maths(token.content, display=True)
        )

    def fence(self: Any, tokens: Any, at: int, options: Any, env: Any) -> str:
        del self, options, env
        token = tokens[at]
        block = places.get(token.map[0] + 1) if token.map else None
        if block is not None:
            return shown.block(block)
        return Markup('<pre tabindex="0"><code>{}</code></pre>\n').format(token.content)

    def image(self: Any, tokens: Any, at: int, options: Any, env: Any) -> str:
        """A link in place of the image: a page that needs no other shows no image from elsewhere."""
        del self, options, env
        token = tokens[at]
        return Markup('<a href="{}">{}</a>').format(token.attrGet("src"), token.content or "image")

    def heading(self: Any, tokens: Any, at: int, options: Any, env: Any) -> str:
        tokens[at].attrSet("id", anchors.next(tokens[at + 1].content))
        return str(self.renderToken(tokens, at, options, env))

    wrap = Markup('<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>')
    md.add_render_rule("maths", formula)
    md.add_render_rule("fence", fence)
    md.add_render_rule("code_block", fence)
    md.add_render_rule("image", image)
    md.add_render_rule("heading_open", heading)
    md.add_render_rule("table_open", lambda *_: wrap)
    md.add_render_rule("table_close", lambda *_: Markup("</table></div>"))
    return md


def _inline_maths(state: StateInline, silent: bool) -> bool:  # noqa: FBT001  (markdown-it's signature)
    """`$...$` and `$$...$$`; a dollar before a digit's price or a space is a dollar."""
    text, start = state.src, state.pos
    if text[start] != "$":
        return False
    mark = "$$" if text.startswith("$$", start) else "$"
    closing = re.compile(rf"(?<!\\){re.escape(mark)}").search(text, start + len(mark))
    if closing is None:
        return False
    end = closing.start()
    inside = text[start + len(mark) : end]
    if not inside.strip():
        return False
    if mark == "$" and (inside[0].isspace() or inside[-1].isspace() or text[end + 1 : end + 2].isdigit()):
        return False
    if not silent:
        token = state.push("maths", "math", 0)
        token.content, token.markup = inside.strip(), mark
    state.pos = end + len(mark)
    return True


def _block_maths(state: StateBlock, start: int, last: int, silent: bool) -> bool:  # noqa: FBT001  (markdown-it's signature)
    """Lines from one that begins with `$$` to one that ends with it."""

    def line(k: int) -> str:
        return str(state.src[state.bMarks[k] + state.tShift[k] : state.eMarks[k]]).rstrip()

    if not line(start).startswith("$$") or state.is_code_block(start):
        return False
    for k in range(start, last):
        if line(k)[0 if k > start else 2 :].endswith("$$"):
            break
        if not line(k):
            return False
    else:
        return False
    inside = "\n".join(map(line, range(start, k + 1)))[2:-2].strip()
    if not inside or "$$" in inside:
        return False
    if not silent:
        state.line = k + 1
        token = state.push("maths", "math", 0)
        token.content, token.markup, token.block, token.map = inside, "$$", True, [start, state.line]
    return True
