"""A source table is declared whole: where one of its files is missing, one sentence names it."""

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.warehouse import ROOT

RAW, CORE, SELECTS = "include/sql/raw", "include/sql/core", "include/sql/extract/complete_journey"
ORDER, PAGE, ROWS = "include/steps/ingest.py", "docs/own-shop.md", "tests/sql/sources"


def lacking(root: Path) -> Iterator[str]:
    """A sentence for each file that a source lacks, of those that any other file declares."""
    made_of = sources_of_core(root)
    ordered = order(root)
    told = set(re.findall(r"^\| `(\w+)` \|", (root / PAGE).read_text(), re.MULTILINE))
    declared = {path.stem for path in (root / RAW).glob("*.yml")} | set(made_of.values())
    declared |= {path.stem for path in (root / ROWS).glob("*.yml")} | told
    declared |= {p.stem for p in (root / SELECTS).glob("*.sql") if not p.stem.startswith("_")}
    declared |= ordered - set(made_of)
    for source in sorted(declared):
        tables = [table for table, of in made_of.items() if of == source]
        wanted = {
            f"{RAW}/{source}.yml": "its raw contract",
            f"{SELECTS}/{source}.sql": "its SELECT",
            f"{ROWS}/{source}.yml": "its rows for tests",
        }
        wanted |= {f"{CORE}/{table}.sql": "its cleaning" for table in tables}
        for name, part in wanted.items():
            if not (root / name).is_file():
                yield f"Expected {part} of the source {source} in {name}, found none: write it."
        if not tables:
            yield (
                f"Expected a core contract of the source {source} (source: raw.{source}) in "
                f"{CORE}/{source}.yml, found none: write it."
            )
        for table in tables:
            if table not in ordered:
                yield (
                    f'Expected a line "{table}" in CORE_ORDER of {ORDER}, found none: add it after the '
                    "tables it looks into."
                )
        if source not in told:
            yield (
                f"Expected a row of the source {source} in {PAGE}, found none: add it to the table of "
                "sources."
            )


def order(root: Path) -> set[str]:
    """The core tables that are built, by reading the file."""
    return {
        name
        for node in ast.parse((root / ORDER).read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("WHO", "CORE_ORDER")
        for name in ast.literal_eval(node.value)
    }


def sources_of_core(root: Path) -> dict[str, str]:
    """Core table -> the source it is made of."""
    return {
        path.stem: source
        for path in (root / CORE).glob("*.yml")
        for source in re.findall(r"^source: raw\.(\w+)$", path.read_text(), re.MULTILINE)
    }


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files that declare sources, to be spoilt."""
    for folder in (RAW, CORE, SELECTS, ROWS):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for name in (ORDER, PAGE):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_every_source_is_whole():
    assert len(set(sources_of_core(ROOT).values())) > 20
    assert "\n".join(lacking(ROOT)) == ""


@pytest.mark.parametrize("source", sorted(set(sources_of_core(ROOT).values())))
def test_a_source_that_lacks_a_file_is_told_in_one_sentence_that_names_it(copy, source):
    tables = [table for table, of in sources_of_core(ROOT).items() if of == source]
    files = [f"{RAW}/{source}.yml", f"{SELECTS}/{source}.sql", f"{ROWS}/{source}.yml"]
    files += [f"{CORE}/{table}.sql" for table in tables]
    for name in files:
        text = (copy / name).read_text()
        (copy / name).unlink()
        (told,) = lacking(copy)
        assert f" of the source {source} in {name}, found none: write it." in told
        (copy / name).write_text(text)
    if len(tables) == 1:
        (copy / f"{CORE}/{source}.yml").unlink()
        (told,) = lacking(copy)
        assert f"(source: raw.{source}) in {CORE}/{source}.yml, found none: write it." in told


@pytest.mark.parametrize(
    ("name", "line"), [(ORDER, '    "warehouses",\n'), (PAGE, "| `warehouses` |")]
)
def test_a_source_without_its_line_is_told_in_one_sentence_that_names_the_file(copy, name, line):
    text = (copy / name).read_text()
    at = text.index(line)
    (copy / name).write_text(text[:at] + text[text.index("\n", at) + 1 :])
    (told,) = lacking(copy)
    assert f"{name}, found none: add it" in told
    assert "warehouses" in told
