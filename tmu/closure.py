"""Which source files a module rests on: the closure of its imports, read from the sources without running them.

Imports inside functions count, imports for type checkers do not. A module that is found by its name at run time (a
method, a feature, an architecture) is not seen here: whoever uses it names it as one more start.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

_STATEMENTS = ("body", "handlers", "orelse", "finalbody", "cases")  # where a statement holds others


def closure(starts: Iterable[str], roots: Mapping[str, Path], leave_out: Iterable[str] = ()) -> dict[str, Path]:
    """The modules that the starts import, the starts included → source file.

    roots: folder of each top-level package that is followed (or file of a top-level module). leave_out: packages and
    modules that are not entered where another imports them. Importing a module runs the packages that it lies in: they
    count. Raises ValueError for a start that has no source.
    """
    left_out, found, asked = tuple(leave_out), {}, frozenset(starts)
    waiting = sorted(asked)
    for name in waiting:
        if source_of(name, roots) is None:
            raise ValueError(f"there is no module `{name}`")
    while waiting:
        name = waiting.pop()
        path = source_of(name, roots)
        if name in found or path is None or (name not in asked and within(name, left_out)):
            continue
        found[name] = path
        waiting += imports(path.read_text(errors="replace"), name, path.name == "__init__.py")
        parent = name.rpartition(".")[0]
        waiting += [parent] if parent else []
    return found


def source_of(module: str, roots: Mapping[str, Path]) -> Path | None:
    """The file of a module; None where no root holds it."""
    top, *inner = module.split(".")
    if top not in roots:
        return None
    place = roots[top].joinpath(*inner)
    candidates = (place.parent / f"{place.name}.py", place / "__init__.py") if inner else (place / "__init__.py", place)
    return next((path for path in candidates if path.is_file()), None)


@cache
def imports(source: str, module: str, is_package: bool = False) -> tuple[str, ...]:
    """The dotted names that a source imports. Of `from a import b` both `a` and `a.b`: b may be a module.

    A source that is not Python imports nothing.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ()
    found: list[str] = []
    for node in _running(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, module, is_package)
            found += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(found)


def within(module: str, packages: tuple[str, ...]) -> bool:
    """Whether a module is one of the packages or lies in one."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _base(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    """The absolute name of what is imported from."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    parents = parts[: len(parts) - node.level + is_package]
    return ".".join([*parents, *([node.module] if node.module else [])])


def _running(tree: ast.Module) -> Iterator[ast.AST]:
    """All statements but those that only a type checker reads; an import is never within an expression."""
    waiting: list[ast.AST] = [*tree.body]
    while waiting:
        node = waiting.pop()
        yield node
        parts = ("orelse",) if isinstance(node, ast.If) and _for_type_checkers(node.test) else _STATEMENTS
        waiting += [inner for part in parts for inner in getattr(node, part, ())]


def _for_type_checkers(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in (getattr(test, "id", None), getattr(test, "attr", None))
