"""What may not stand anywhere; who may import whom is held by the contracts in pyproject.toml."""

import ast
import re
from pathlib import Path

import pytest

from include.warehouse import ROOT

MODULES = sorted((ROOT / "include").rglob("*.py"))
PURE = ("features", "models", "offers", "policy/triggers", "policy/finding.py")
#: Folders whose modules register themselves: no list of them is kept.
REGISTERED = ("policy/triggers",)
#: Modules that no package need speak of.
SILENT = ("__init__", "__main__")
CLOCK = {"now", "utcnow", "today", "time"}
SQL_FILES = sorted((ROOT / "include" / "sql").rglob("*.sql"))


def test_there_is_something_to_check():
    assert len(MODULES) > 30
    assert len(SQL_FILES) > 30


def test_pure_modules_never_read_the_clock():
    for path in MODULES:
        if not path.relative_to(ROOT / "include").as_posix().startswith(PURE):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = getattr(node.func.value, "id", "")
                clock = node.func.attr in CLOCK and owner in ("datetime", "date", "time", "pd")
                assert not clock, f"{path}:{node.lineno} reads the clock"


def test_only_the_warehouse_module_opens_a_connection():
    for path in MODULES:
        if path != ROOT / "include" / "sources" / "mysql" / "server.py":
            assert not re.search(r"pymysql\.(connect|Connect)", path.read_text()), path
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


FOLDERS = sorted({path.parent for path in MODULES} - {ROOT / "include"})


def test_the_root_of_the_house_is_a_hall_and_no_store():
    loose = sorted(p.name for p in (ROOT / "include").glob("*.py") if p.name != "__init__.py")
    assert len(loose) <= 6, f"expected at most six modules beside the packages, found {loose}"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_folder_holds_one_subject_and_says_what_it_offers(folder: Path):
    modules = sorted(path.stem for path in folder.glob("*.py") if path.stem not in SILENT)
    packages = sorted(path.parent.name for path in folder.glob("*/__init__.py"))
    assert len(modules) <= 16, f"expected at most 16 modules, found {len(modules)}: part the folder"
    if folder.relative_to(ROOT / "include").as_posix() in REGISTERED:
        return
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    silent = [name for name in modules + packages if f"`{name}`" not in said]
    assert not silent, f"expected {folder.name}/__init__.py to say what {', '.join(silent)} offer"
