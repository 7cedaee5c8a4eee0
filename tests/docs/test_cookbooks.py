"""Cookbooks: the files they name exist, and who follows them to the letter on a copy passes the tests.

A block ```` ```python PATH ```` (or sql, yaml, csv, ...) is a file; a ```` ```diff ```` block changes files:
under a line `@@` its lines with `-` or without a sign stand together in the file, and those with `+` or
without a sign take their place; a line `bin/regulars test ...` in a ```` ```sh ```` block is run.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.warehouse import ROOT

PAGES = sorted((ROOT / "docs" / "cookbooks").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.M | re.S)
WANTED = {"channel", "feature", "model", "source", "trigger"}


def blocks(page: Path) -> Iterator[tuple[str, str, str]]:
    yield from BLOCK.findall(page.read_text())


def made(page: Path) -> set[str]:
    """Files that the page itself makes."""
    return {path for _, path, _ in blocks(page) if path}


def changed(text: str, tree: Path) -> None:
    """Carry out one diff block."""
    path = None
    hunks: list[tuple[Path, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("+++ "):
            path = tree / line.removeprefix("+++ ").removeprefix("b/")
        elif line.startswith("@@"):
            assert path is not None, "a diff names its file before its first @@"
            hunks.append((path, []))
        elif not line.startswith("--- "):
            hunks[-1][1].append(line)
    assert hunks, "a diff block has at least one @@"
    for path, lines in hunks:
        old = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
        new = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
        before = path.read_text()
        assert before.count(old) == 1, (
            f"expected once in {path.name}, found {before.count(old)}:\n{old}"
        )
        path.write_text(before.replace(old, new))


def test_there_is_one_for_each_thing_that_people_add() -> None:
    assert {page.stem for page in PAGES} >= WANTED


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_files_it_names_exist(page: Path) -> None:
    prose = BLOCK.sub("", page.read_text())
    named = set(
        re.findall(r"`((?:include|tests|docs|dags|config|benchmarks)/[\w./-]+\.\w+)`", prose)
    )
    assert named, "a cookbook names files"
    missing = sorted(name for name in named - made(page) if not (ROOT / name).exists())
    assert not missing, f"expected the files that {page.name} names, found no {', '.join(missing)}"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_who_follows_it_on_a_copy_passes_the_tests(page: Path, tmp_path: Path) -> None:
    tree = tmp_path / "copy"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, listed):
        source, target = ROOT / name, tree / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    commands = []
    for kind, path, text in blocks(page):
        if path:
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
        elif kind == "diff":
            changed(text, tree)
        elif kind == "sh":
            commands += [c for c in text.splitlines() if c.startswith("bin/regulars test ")]
    assert commands, "a cookbook ends with the tests that show it"
    environment = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("PYTEST_", "AIRFLOW", "REGULARS_"))
    } | {"PYTHONPATH": str(tree)}
    for command in commands:
        arguments = shlex.split(command)[2:]
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
            cwd=tree, env=environment, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
