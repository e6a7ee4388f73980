"""Every rule there is to verify: installed catalogues by entry point, a user's own module by name or path."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from matcalc.rule import Rule
from matcalc.verdict import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import ModuleType

AnyRule = Rule[Any, Any]
GROUP = "matcalc.catalogues"


@dataclass(frozen=True)
class Catalogue:
    """Rules by name, in the order in which they are written, and what could not be read."""

    rules: tuple[AnyRule, ...]
    problems: tuple[Problem, ...] = ()

    def __getitem__(self, name: str) -> AnyRule:
        """The rule of that name; KeyError with the nearest names if there is none."""
        for rule in self.rules:
            if rule.name == name:
                return rule
        from difflib import get_close_matches

        near = get_close_matches(name, [rule.name for rule in self.rules], n=3)
        raise KeyError(f"no rule is called {name!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""))

    def select(self, keyword: str = "", topics: Iterable[str] = ()) -> Catalogue:
        """The rules whose name or topic holds the keyword, in the given topics.

        The keyword may join words with `and`, `or`, `not` and parentheses, as pytest's `-k` does; ValueError if it cannot be
        read, or if a topic does not exist.
        """
        wanted = list(topics)
        known = {rule.topic for rule in self.rules}
        for topic in wanted:
            if topic not in known:
                raise ValueError(f"no topic is called {topic!r}; there are {', '.join(sorted(known))}")
        matches = _keyword(keyword)
        return Catalogue(
            tuple(rule for rule in self.rules if (not wanted or rule.topic in wanted) and matches({rule.name, rule.topic})),
            self.problems,
        )


def _keyword(text: str) -> Callable[[set[str]], bool]:
    """A test of a set of names for an expression like `det and not log`."""
    if not text.strip():
        return lambda _: True
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        tree = None

    def holds(node: ast.expr | None, names: set[str]) -> bool:  # reads every part, so that no mistake hides behind `or`
        match node:
            case ast.Name(id=word):
                return any(word.lower() in name.lower() for name in names)
            case ast.UnaryOp(op=ast.Not(), operand=inside):
                return not holds(inside, names)
            case ast.BoolOp(op=ast.And(), values=parts):
                return min([holds(part, names) for part in parts])
            case ast.BoolOp(op=ast.Or(), values=parts):
                return max([holds(part, names) for part in parts])
            case _:
                pass
        raise ValueError(f"-k {text!r} cannot be read: join words with `and`, `or`, `not` and parentheses, as in 'det and not log'")

    holds(tree, set())
    return lambda names: holds(tree, names)


def installed() -> Catalogue:
    """The rules of every installed catalogue: the modules of the packages under the entry-point group `matcalc.catalogues`.

    Raises LookupError if there are none.
    """
    names = sorted({entry.value for entry in entry_points(group=GROUP)})
    catalogue = load(names)
    if not catalogue.rules and not catalogue.problems:
        raise LookupError(f"no rules are installed: no package with rules stands under the entry-point group {GROUP!r}")
    return catalogue


def load(targets: Iterable[str | Path]) -> Catalogue:
    """The rules of packages or modules, by import name or by path of a file or folder.

    A module that cannot be read becomes a problem of one sentence; the others are read all the same.
    """
    rules: list[AnyRule] = []
    problems: list[Problem] = []
    for target in targets:
        for where, read in _modules(target):
            try:
                module = read()
            except (Exception, SystemExit) as error:  # noqa: BLE001  (a user's file may raise anything)
                problems.append(Problem(where, _sentence(where, error)))
                continue
            rules += (r for r in vars(module).values() if isinstance(r, Rule) and r.function.__module__ == module.__name__)
    by_name: dict[str, AnyRule] = {}
    for rule in rules:
        if by_name.setdefault(rule.name, rule) is not rule:
            first, second = by_name[rule.name].function.__module__, rule.function.__module__
            problems.append(Problem(second, f"two rules are called {rule.name}: one in {first}, one in {second}; rename one"))
    return Catalogue(tuple(by_name.values()), tuple(problems))


def _sentence(where: str, error: BaseException) -> str:
    """What went wrong while a module was read, with the line of it where that is known."""
    line = None
    traceback = error.__traceback__
    while traceback:
        if Path(traceback.tb_frame.f_code.co_filename) == Path(where):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    if isinstance(error, SyntaxError):
        return f"{where}, line {error.lineno}: {error.msg}"
    text = " ".join(str(error).split()) or "no message"
    kind = "" if isinstance(error, TypeError) else f" ({type(error).__name__})"
    return where + (f", line {line}" if line else "") + f": {text}{kind}"


def _modules(target: str | Path) -> Iterator[tuple[str, Any]]:
    """(where, a function that imports it) for each module of a target."""
    path = Path(target)
    if path.suffix == ".py" or path.is_dir():
        if not path.exists():
            yield str(target), _failing(FileNotFoundError(f"there is no file {target}"))
        elif path.is_file():
            yield str(path), lambda: _from_file(path)
        else:
            hidden = (".", "__")
            files = sorted(f for f in path.rglob("*.py") if not any(part.startswith(hidden) for part in f.relative_to(path).parts))
            if not files:
                yield str(path), _failing(FileNotFoundError("the folder holds no Python file"))
            for file in files:
                yield str(file), lambda file=file: _from_file(file)
        return
    name = str(target)
    try:
        package = importlib.import_module(name)
    except (Exception, SystemExit) as error:  # noqa: BLE001
        yield name, _failing(error)
        return
    yield name, lambda: package
    for info in pkgutil.walk_packages(getattr(package, "__path__", []), f"{name}."):
        yield info.name, lambda info=info: importlib.import_module(info.name)


def _failing(error: BaseException) -> Any:
    def read() -> ModuleType:
        raise error

    return read


def _from_file(path: Path) -> ModuleType:
    """The module of a file, imported under the file's own name, with its folder importable as for a script."""
    name = path.stem
    resolved = str(path.resolve())
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == resolved:
        return known
    if known is not None:
        name = f"{name}_{crc32(resolved.encode()):x}"
    spec = importlib.util.spec_from_file_location(name, resolved)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(str(path.resolve().parent))
    return module
