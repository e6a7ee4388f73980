"""Our own files inside a page that needs no other, and what its content security policy calls them."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path

_ASSETS = Path(__file__).parent / "assets"


@cache
def text(name: str) -> str:
    """A file of the folder of assets."""
    return (_ASSETS / name).read_text(encoding="utf-8")


@cache
def data(name: str, kind: str) -> str:
    """The same as an address that holds it."""
    return f"data:{kind};base64,{b64encode((_ASSETS / name).read_bytes()).decode()}"


@cache
def inlined(name: str) -> str:
    """A style sheet with its fonts in it."""
    return re.sub(r"url\(([\w-]+\.woff2)\)", lambda found: f"url({data(found[1], 'font/woff2')})", text(name))


def digest(text: str) -> str:
    """What a content security policy calls the text."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
