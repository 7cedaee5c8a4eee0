"""The rules of who imports whom, and of what may not stand anywhere."""

import ast
import re
from pathlib import Path

import pytest

from include.warehouse import ROOT

MODULES = sorted((ROOT / "include").rglob("*.py"))
PURE = ("features", "models", "offers")
CLOCK = {"now", "utcnow", "today", "time"}
SQL_FILES = sorted((ROOT / "include" / "sql").rglob("*.sql"))


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def roots(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def test_there_is_something_to_check():
    assert len(MODULES) > 30
    assert len(SQL_FILES) > 30


def test_pure_modules_know_neither_airflow_nor_a_driver_nor_the_clock():
    for path in MODULES:
        if path.relative_to(ROOT / "include").parts[0] not in PURE:
            continue
        assert not roots(path) & {"airflow", "psycopg2", "sqlalchemy", "asyncpg"}, path
        assert not imports(path) & {"include.warehouse", "include.publication"}, path
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = getattr(node.func.value, "id", "")
                clock = node.func.attr in CLOCK and owner in ("datetime", "date", "time", "pd")
                assert not clock, f"{path}:{node.lineno} reads the clock"


def test_only_the_warehouse_module_opens_a_connection():
    for path in MODULES:
        if path.name == "warehouse.py" or "launcher" in path.parts or "demo_shop" in path.parts:
            continue  # the launcher makes the server, the demo shop fills the shop's own database
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = getattr(node.func.value, "id", "")
                assert (owner, node.func.attr) != ("psycopg2", "connect"), path
                assert node.func.attr != "create_engine", path


def test_the_name_of_a_lock_is_spelt_in_one_place():
    """One letter off, and two that should exclude each other run at once without a word."""
    spelt: dict[str, set[Path]] = {}
    for path in [*MODULES, *SQL_FILES]:
        text = path.read_text()
        for name in re.findall(r"hashtext\w*\(\s*'([^']+)'", text):
            spelt.setdefault(name, set()).add(path)
        if re.search(r"lock\(\s*hashtext\w*\(\s*[^'\s]", text):
            assert path.name == "locks.py", f"{path} makes up the name of a lock"
    assert len(spelt) > 2
    for name, paths in spelt.items():
        assert len(paths) == 1, f"the lock {name} is spelt in {paths}"
        assert name.startswith("regulars "), f"{name}: locks of datasets belong into locks.py"


def test_nothing_imports_from_dags_or_plugins():
    for path in MODULES:
        assert not roots(path) & {"dags", "plugins"}, path


@pytest.mark.parametrize("layer", ["extract", "core", "features", "ml", "marketing", "queries"])
def test_sql_never_asks_the_clock(layer: str):
    for path in (ROOT / "include" / "sql" / layer).rglob("*.sql"):
        code = re.sub(r"--.*", "", path.read_text())
        assert not re.search(
            r"\b(CURRENT_DATE|CURRENT_TIMESTAMP|now\s*\(|clock_timestamp)", code, re.I
        ), path


def test_sql_states_its_grain_and_binds_its_parameters():
    for path in SQL_FILES:
        text = path.read_text()
        assert text.lstrip().startswith("--"), f"{path} should start with its grain"
        assert "{" not in re.sub(r"--.*|'[^']*'", "", text), f"{path} should bind parameters"
