"""Names for places in a page."""

from __future__ import annotations

import re
from collections import defaultdict


class Anchors:
    """Names that begin alike, each given once."""

    def __init__(self, beginning: str) -> None:
        self._beginning = beginning
        self._given: set[str] = set()
        self._last: defaultdict[str, int] = defaultdict(int)

    def next(self, title: str) -> str:
        """The next name for what is called so: with a number, if it was given before."""
        base = self._beginning + (re.sub(r"[^\w.]+", "-", title.lower()).strip("-") or "x")
        found = ""
        while not found or found in self._given:
            self._last[base] += 1
            found = base if self._last[base] == 1 else f"{base}-{self._last[base]}"
        self._given.add(found)
        return found
