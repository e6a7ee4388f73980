"""Files and folders that are written whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

MARKER = ".matcalc-report"
OURS = frozenset({MARKER, "index.html", "claims.html", "rules", "assets", "results.json"})
GUESTS = frozenset({"README.md", ".gitignore"})  # what may lie in a folder before the first report does


class ReportError(Exception):
    """A report that cannot be written or read; the message is one sentence."""


@contextmanager
def _explained(path: Path, verb: str) -> Generator[None, None, None]:
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        raise ReportError(f"{path} cannot be {verb}: {getattr(error, 'strerror', None) or error}") from error


def write_file(path: Path, text: str) -> None:
    """Writes the text, or leaves what was there; raises ReportError if the place cannot be written."""
    with _explained(path, "written"):
        if path.is_dir():
            raise ReportError(f"{path} cannot be written: it is a folder, and a file was expected")
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as room:
            new = Path(room) / path.name
            new.write_bytes(encoded(text))
            new.replace(path)


def read_file(path: Path) -> str:
    """The text of a file; raises ReportError if there is none in UTF-8."""
    with _explained(path, "read"):
        return path.read_text(encoding="utf-8")


def encoded(text: str) -> bytes:
    """The bytes of a page; a lone surrogate becomes a reference to it instead of an error."""
    return text.encode("utf-8", errors="xmlcharrefreplace")


@contextmanager
def replaced_folder(folder: Path) -> Generator[Path, None, None]:
    """An empty folder to fill, which takes the place of `folder` once it is filled.

    What lies in `folder` and is not ours is kept. Raises ReportError for a folder that holds other things and no report of ours.
    If filling fails, `folder` stays as it was.
    """
    check_folder(folder)
    folder = folder.resolve()  # a link keeps pointing to the same place
    with _explained(folder, "written"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent, ignore_cleanup_errors=True) as room:
            new, old = Path(room) / "new", Path(room) / "old"
            new.mkdir()
            yield new
            if not folder.exists():
                new.rename(folder)
                return
            _keep(folder, new)
            folder.rename(old)
            try:
                new.rename(folder)
            except OSError:
                old.rename(folder)
                raise


def check_folder(folder: Path) -> None:
    """Raises ReportError if a report may not be written there: for a file, or a folder that holds other things and no report of ours."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ReportError(f"{folder} cannot be written: it is a file, and a folder was expected")
    with _explained(folder, "read"):
        found = {entry.name for entry in folder.iterdir()}
    if MARKER not in found and found - GUESTS:
        stranger = min(found - GUESTS)
        raise ReportError(f"{folder} holds {stranger} and no report of matcalc, so it is left alone; name an empty or a new folder")


def _keep(folder: Path, new: Path) -> None:
    """Copies what is not ours; a copy, because a move could be cut short."""
    for entry in folder.iterdir():
        if entry.name in OURS:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, new / entry.name, symlinks=True)
        else:
            shutil.copy2(entry, new / entry.name, follow_symlinks=False)
