"""Page data -> HTML: the pages of a run."""

from __future__ import annotations

from matcalc.report import claims, page
from matcalc.report.graph import fragment
from matcalc.report.templating import environment


def index(shown: page.IndexPage) -> str:
    """The page of a run."""
    return environment().get_template("index.html.jinja").render(page=shown, run=shown.run, root="")


def rule(shown: page.RulePage, whole: page.IndexPage) -> str:
    """The page of one rule."""
    links = {other.verdict.rule: f"{other.slug}.html" for other in whole.pages}
    graph = fragment(shown.graph, links=links) if shown.graph else ""
    return environment().get_template("rule.html.jinja").render(page=shown, verdict=shown.verdict, run=whole.run, root="../", graph=graph)


def claims_of(shown: claims.ClaimsPage) -> str:
    """The page of what a run claims and what it does not."""
    return environment().get_template("claims.html.jinja").render(page=shown, run=shown.whole.run, root="")
