"""Where a result came from: code digests, content hashes, atomic writes.

Uses the standard library only, since the workflow computes code digests when it is parsed.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1]
NAME = "selfgen"
STRAY = (".snakemake_timestamp", ".DS_Store")
"""What Snakemake and file managers put into a folder after its step has ended; NFS puts
``.nfs...`` there."""

UNSEEN = (
    *("type_comment", "type_ignores", "kind", "ctx", "type_params"),
    *("annotation", "returns", "simple"),
)
"""Fields of the syntax tree that do not affect what is computed."""

SYNTAX = Path(".snakemake", "selfgen-syntax.json")
"""What is known of the syntax of modules from an earlier process that ran in this folder."""

MOST_KEPT = 10_000
"""Entries of that file; with more, those of code that is gone are dropped."""

DECLARATIONS = ("DATASET",)
"""What a module tells the graph: it reaches a step through its spec, and is no code of it."""


@functools.cache
def code_digest(*modules: str) -> str:
    """Digest of the syntax of some modules and of all modules of their packages, and of this
    one, that they import.

    ``module:NAME`` is one class or function of a module, with what it needs of the rest.
    Comments, docstrings, annotations, layout and the descriptions of keys do not count: the
    digest changes only if the code does something else. ``ast.dump`` is not used, since it
    differs between versions of Python.
    """
    closure: set[str] = set()
    todo = list(modules)
    while todo:
        module = todo.pop()
        if module not in closure:
            closure.add(module)
            todo += _parsed(module)[1]
    _keep_syntax()
    text = "\n".join(f"{m} {_parsed(m)[0]}" for m in sorted(closure))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def source_digest(path: Path) -> str:
    """Digest of the syntax of one file, as in ``code_digest`` but not of what it imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return hashlib.sha256(_canonical(tree).encode()).hexdigest()[:16]


def _file(module: str) -> Path | None:
    package, *parts = module.split(".")
    base = PACKAGE.joinpath(*parts)
    if package != NAME:
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            return None
        if not found.submodule_search_locations:
            return None if parts else Path(found.origin)
        base = Path(found.origin).parent.joinpath(*parts)
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@functools.cache
def _parsed(module: str) -> tuple[str, tuple[str, ...]]:
    """``(digest of the syntax, package modules imported)``, of a module or of what one name
    in it needs."""
    module, _, name = module.partition(":")
    path = _file(module)
    if path is None:
        raise ValueError(f"no module {module}")
    packages = NAME, module.partition(".")[0]
    text = path.read_text(encoding="utf-8")
    read = "\0".join([_of_this_file(), *packages, name, text])
    key = hashlib.sha256(read.encode()).hexdigest()
    match _kept_syntax().get(key):
        case [str(digest), list(names)]:
            pass
        case _:
            digest, names = _syntax(text, name, packages)
            _new.add(key)
    _syntax_of[key] = [digest, names]
    return digest, tuple(name for name in names if _file(name))


_syntax_of: dict[str, list[Any]] = {}
_new: set[str] = set()


@functools.cache
def _kept_syntax() -> dict[str, Any]:
    """Digests of syntax and the modules that it may import, by a digest of all that they
    depend on."""
    try:
        kept: dict[str, Any] = json.loads(SYNTAX.read_text())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _keep_syntax() -> None:
    """For the next process: parsing takes longer than all else that a run with nothing to do
    does of its own. Only in a folder of runs, and only if it can be written."""
    if _new and SYNTAX.parent.is_dir():
        _new.clear()
        # Also of what another configuration or target asks for, and this process does not.
        kept = _kept_syntax() | _syntax_of
        with contextlib.suppress(OSError):
            write_json(SYNTAX, kept if len(kept) <= MOST_KEPT else _syntax_of)


@functools.cache
def _of_this_file() -> str:
    return f"{sys.version_info[:2]} {hashlib.sha256(Path(__file__).read_bytes()).hexdigest()}"


def _syntax(text: str, name: str, packages: tuple[str, ...]) -> tuple[str, list[str]]:
    """The digest of the syntax of a text or of what one ``name`` in it needs, and what it may
    import of ``packages``."""
    tree = ast.parse(text)
    if name:
        tree.body = _needed(tree.body, name)
    imported: set[str] = set()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names.append(node.module)
        else:
            continue
        inside = (name for name in names if name.partition(".")[0] in packages)
        imported |= {name for name in inside if "." in name}
    digest = hashlib.sha256(_canonical(tree).encode()).hexdigest()
    return digest, sorted(imported)


def _needed(body: list[ast.stmt], name: str) -> list[ast.stmt]:
    """Those of a module's statements that define a name, or what these read in turn."""
    makers: dict[str, ast.stmt] = {}
    for statement in body:
        for node in [statement, *getattr(statement, "targets", ())]:
            for made in (getattr(node, "name", None), getattr(node, "id", None)):
                if made:
                    makers[made] = statement
        if isinstance(statement, ast.Import | ast.ImportFrom):
            for alias in statement.names:
                made = alias.asname or alias.name.partition(".")[0]
                makers[made] = _importing(statement, alias)
        elif isinstance(statement, ast.AnnAssign):
            makers[ast.unparse(statement.target)] = statement
    if name not in makers:
        raise ValueError(f"no {name} to be computed with")
    needed, todo = {}, [name]
    while todo:
        made = todo.pop()
        if made in makers and made not in needed:
            needed[made] = makers[made]
            nodes = ast.walk(makers[made])
            todo += [node.id for node in nodes if isinstance(node, ast.Name)]
    return [needed[made] for made in sorted(needed)]


def _importing(statement: ast.Import | ast.ImportFrom, alias: ast.alias) -> ast.stmt:
    """An import of one name alone."""
    if isinstance(statement, ast.Import):
        return ast.Import([alias])
    return ast.ImportFrom(statement.module, [alias], statement.level)


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes, but for what only people and type checkers read."""
    todo = [tree]
    while todo:
        children = [
            n for n in ast.iter_child_nodes(todo.pop()) if not _is_for_people(n)
        ]
        yield from children
        todo += children


def _canonical(node: Any, in_class: bool = False) -> str:
    if isinstance(node, ast.AnnAssign) and node.value and not in_class:
        # Outside of a class, where it makes a field, an annotation does nothing.
        node = ast.Assign([node.target], node.value)
    if isinstance(node, ast.AST):
        fields = []
        for key, value in ast.iter_fields(node):
            if key in UNSEEN:
                continue
            if isinstance(value, list):
                value = [item for item in value if not _is_idle(item, node)]
            if value is None or value == []:
                continue  # fields that newer Pythons added are empty in older code
            fields.append(f"{key}={_canonical(value, isinstance(node, ast.ClassDef))}")
        return f"{type(node).__name__}({','.join(fields)})"
    if isinstance(node, list):
        return f"[{','.join(_canonical(item, in_class) for item in node)}]"
    return f"{type(node).__name__}:{node!r}"


def _is_idle(node: Any, parent: Any) -> bool:
    """A statement that computes nothing: a docstring (of a module, class, function or
    constant), code for type checkers, a name that is declared without a value, or what is
    declared to the graph."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(
            node.value.value, str
        )
    if isinstance(node, ast.AnnAssign):
        return node.value is None and not isinstance(parent, ast.ClassDef)
    if isinstance(node, ast.Assign) and isinstance(parent, ast.Module):
        return getattr(node.targets[0], "id", None) in DECLARATIONS
    return _is_for_people(node)


def _is_for_people(node: Any) -> bool:
    if isinstance(node, ast.keyword):
        # Of a key of the configuration: words for people.
        return node.arg == "description"
    test = getattr(node, "test", None) if isinstance(node, ast.If) else None
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


@contextlib.contextmanager
def atomic(target: Path) -> Iterator[Path]:
    """A temporary path beside ``target`` that takes its place on success.

    For files and for folders; a failure leaves ``target`` unchanged.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        yield partial
        if target.is_dir():
            shutil.rmtree(target)
        partial.replace(target)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        else:
            partial.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """``value`` as readable JSON, atomically."""
    with atomic(path) as partial:
        partial.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")


def sha256(path: Path) -> str:
    """Content hash of a file, or of a folder's files and their names."""
    if path.is_dir():
        digest = hashlib.sha256()
        for item in sorted(p for p in path.rglob("*") if p.is_file()):
            if item.name in STRAY or item.name.startswith(".nfs"):
                continue
            digest.update(f"{item.relative_to(path)} {sha256(item)}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def spec_digest(text: str) -> str:
    """A short digest of a spec's canonical JSON."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
