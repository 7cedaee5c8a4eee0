"""Which code a model is made by: one hash of everything that computes, and of nothing else.

Two trees of files that compute the same have the same identity, however they are laid out. From named entry
points every module of `include.features` and `include.models` that is imported is reached, imports inside
functions included. What counts is the statements of those modules and the SQL they read:

==================================  =================================================================
left out                            because
==================================  =================================================================
comments, docstrings, blanks        they compute nothing
annotations of functions            they compute nothing; those of a class may (its fields), and stay
imports, `__all__`, names of files  what is imported counts where it is used: a name of this project by
                                    what defines it, a library's by its full name
order of statements and of files    a function that moves is the same function
everything that is not reached      `include.warehouse` and its like carry rows and compute no figure
==================================  =================================================================

A name of this project stands for what it defines (the hash of that statement by itself), so that calling
another function of the same name is another identity.
"""

import ast
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from include.errors import BadInput

ROOT = Path(__file__).resolve().parents[2]

#: Where figures are computed: what is imported from here is followed.
COMPUTES = ("include.features", "include.models")

_SQL_TOKEN = re.compile(r"--[^\n]*|/\*.*?\*/|('(?:[^']|'')*'|\"[^\"]*\"|\w+|[^\w\s])", re.S)


@dataclass(frozen=True)
class Reached:
    """What is reached from some entry points.

    Attributes
    ----------
    modules
        Dotted names, sorted.
    queries
        Paths of SQL files below `include/sql`, sorted.
    """

    modules: tuple[str, ...]
    queries: tuple[str, ...]


@cache
def identity(entries: Sequence[str], root: Path = ROOT) -> str:
    """The hash of the code that is reached from entry points.

    Parameters
    ----------
    entries
        Dotted names of modules, as a tuple.
    root
        The folder that holds `include`.

    Raises
    ------
    BadInput
        When a module or a SQL file that is named does not exist.
    """
    modules, queries = _walk(tuple(entries), root)
    alone = {
        (module.name, name): _digest(node, module, {})
        for module in modules
        for name, node in module.defines.items()
    }
    parts = [_digest(node, module, alone) for module in modules for node in module.statements]
    parts += [query_identity(path.read_text(encoding="utf-8")) for path in queries]
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


def reached(entries: Sequence[str], root: Path = ROOT) -> Reached:
    """The modules and SQL files behind an identity, for a person who asks what decides it."""
    modules, queries = _walk(tuple(entries), root)
    folder = root / "include" / "sql"
    return Reached(
        tuple(sorted(module.name for module in modules)),
        tuple(sorted(str(path.relative_to(folder)) for path in queries)),
    )


def query_identity(text: str) -> str:
    """The hash of a SQL statement without its comments and blanks; what stands in quotes counts whole."""
    tokens = (match.group(1) for match in _SQL_TOKEN.finditer(text))
    return hashlib.sha256(" ".join(filter(None, tokens)).encode()).hexdigest()


@dataclass
class _Module:
    """A parsed module: its statements, what they define, and what its imported names stand for."""

    name: str
    tree: ast.Module
    #: Local name -> the module it stands for, or (module, member); of libraries the full name alone.
    modules: dict[str, str] = field(default_factory=dict)
    members: dict[str, tuple[str, str]] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)
    statements: list[ast.stmt] = field(default_factory=list)
    defines: dict[str, ast.stmt] = field(default_factory=dict)


@cache
def _walk(entries: tuple[str, ...], root: Path) -> tuple[list[_Module], list[Path]]:
    found: dict[str, _Module] = {}
    queries: set[Path] = set()
    waiting = list(entries)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        module = found[name] = _read(name, root)
        queries |= set(_queries(module, root))
        named = {*module.modules.values(), *(of for of, _ in module.members.values())}
        waiting += [other for other in named if other.startswith(tuple(f"{c}." for c in COMPUTES))]
    return [found[name] for name in sorted(found)], sorted(queries)


def _read(name: str, root: Path) -> _Module:
    path = _path(name, root)
    if path is None:
        raise BadInput(
            f"Expected the module {name} that a model is made by, found none: restore it."
        )
    tree = _Computing().visit(ast.parse(path.read_text(encoding="utf-8")))
    module = _Module(name, tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                module.libraries[alias.asname or alias.name.split(".")[0]] = alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                local, full = alias.asname or alias.name, f"{node.module}.{alias.name}"
                if node.module.split(".")[0] != "include":
                    module.libraries[local] = full
                elif _path(full, root) is not None:
                    module.modules[local] = full
                else:
                    module.members[local] = (node.module, alias.name)
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        module.statements.append(node)
        for defined in _defined(node):
            module.defines[defined] = node
    return module


def _path(name: str, root: Path) -> Path | None:
    """The file of a module or package; None where the name is none."""
    stem = root.joinpath(*name.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return path
    return None


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name))


def _queries(module: _Module, root: Path) -> Iterator[Path]:
    """The SQL files that a module reads: `sql("queries/x")`; a name put together stands for all it may be.

    The parts of a statement (`include.warehouse.sql`) lie in a folder of its name.
    """
    folder = root / "include" / "sql"
    for node in ast.walk(module.tree):
        if not (isinstance(node, ast.Call) and node.args):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else None
        if called != "sql" and getattr(node.func, "id", None) != "sql":
            continue
        pattern = _pattern(node.args[0])
        if pattern is None:
            continue
        paths = sorted(folder.glob(f"{pattern}.sql"))
        if not paths:
            raise BadInput(
                f"Expected the SQL file include/sql/{pattern}.sql that {module.name} reads, found none: "
                "restore it."
            )
        for path in paths:
            yield path
            yield from path.with_suffix("").glob("*.sql")


def _pattern(node: ast.expr) -> str | None:
    """The name of a SQL file, `*` for what is put in; None where the argument is no such name."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    texts = [
        str(part.value) if isinstance(part, ast.Constant) and isinstance(part.value, str) else "*"
        for part in parts
    ]
    return "".join(texts) if any(text != "*" for text in texts) else None


def _digest(node: ast.stmt, module: _Module, alone: dict[tuple[str, str], str]) -> str:
    text = "".join(_Text(module, alone).of(node))
    return hashlib.sha256(text.encode()).hexdigest()


class _Computing(ast.NodeTransformer):
    """Takes out of a tree what computes nothing; imports stay until they have been read."""

    def __init__(self) -> None:
        self.inside = 0

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        typing_only = getattr(node.test, "id", None) == "TYPE_CHECKING"
        return None if typing_only else self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        if any(getattr(target, "id", None) == "__all__" for target in node.targets):
            return None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        # In a class it declares a field; elsewhere it says what a reader or a type checker wants to know.
        if self.inside:
            if node.value is None:
                return None
            return self.generic_visit(ast.Assign(targets=[node.target], value=node.value))
        if isinstance(node.annotation, ast.Constant) and isinstance(node.annotation.value, str):
            node.annotation = ast.parse(node.annotation.value, mode="eval").body
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        self.inside += 1
        self.generic_visit(node)
        self.inside -= 1
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        outside, self.inside = self.inside, 0
        self.generic_visit(node)
        self.inside = outside
        return node


class _Text:
    """A statement as text, each name in it as what it stands for, without imports."""

    def __init__(self, module: _Module, alone: dict[tuple[str, str], str]) -> None:
        self.module = module
        self.alone = alone
        self.local: list[set[str]] = []

    def of(self, node: Any) -> Iterator[str]:
        """The pieces of the text of a node, or of anything that a node holds."""
        if isinstance(node, list):
            for item in node:
                yield from self.of(item)
                yield ","
        elif not isinstance(node, ast.AST):
            yield repr(node)
        elif isinstance(node, ast.Name):
            yield self.name(node.id)
        elif isinstance(node, ast.Attribute) and self.member(node):
            yield self.member(node)
        elif not isinstance(node, (ast.Import, ast.ImportFrom, ast.expr_context)):
            bound = _bound(node) if isinstance(node, ast.FunctionDef) else set()
            self.local.append(bound)
            yield f"{type(node).__name__}("
            for name, value in ast.iter_fields(node):
                yield f"{name}="
                yield from self.of(value)
            yield ")"
            self.local.pop()

    def name(self, name: str) -> str:
        """What a name by itself stands for."""
        if any(name in bound for bound in self.local):
            return name
        if name in self.module.members:
            return self.defined(*self.module.members[name])
        if name in self.module.defines:
            return self.defined(self.module.name, name)
        return self.module.libraries.get(name, name)

    def member(self, node: ast.Attribute) -> str:
        """What `module.name` stands for; empty where the owner is no module of this project."""
        owner = getattr(node.value, "id", "")
        if owner not in self.module.modules or any(owner in bound for bound in self.local):
            return ""
        return self.defined(self.module.modules[owner], node.attr)

    def defined(self, module: str, member: str) -> str:
        """A name of this project, with the hash of what defines it."""
        return f"{member}={self.alone.get((module, member), '')}"


def _bound(node: ast.FunctionDef) -> set[str]:
    """The names that are a function's own."""
    bound = {n.arg for n in ast.walk(node.args) if isinstance(n, ast.arg)}
    return bound | {
        n.id
        for part in node.body
        for n in ast.walk(part)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
