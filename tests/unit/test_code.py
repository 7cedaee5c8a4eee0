"""A recipe is told by what computes: rewording, renaming and moving change nothing, any number does."""

import ast
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from include.errors import BadInput
from include.models import code
from include.steps import stock
from include.steps.training import recommender, redemption, uplift, value_model
from include.warehouse import ROOT

KINDS = {
    "value": value_model.MADE_BY,
    "recommender": recommender.MADE_BY,
    "redemption": redemption.MADE_BY,
    "uplift": uplift.MADE_BY,
    "demand": stock.MADE_BY,
    "tides": ("include.steps.tides",),
}

#: A kind that no list of modules knows.
TIDES = {
    "include/steps/tides.py": '''
"""Reads the sea."""
from include import warehouse
from include.models.moon import pull as drawn
from include.models import shore

RATE = 2

def fit(rows, rate: int = RATE):
    """How high."""
    from include.models.tides.deep import depth
    # why
    high: float = drawn(rows) * rate + shore.height(rows) + depth()
    return high, warehouse.sql("queries/tides/rows")
''',
    "include/models/moon.py": "def pull(rows):\n    return rows[0] * 0.5\n",
    "include/models/shore.py": "from include.models import moon\n\ndef height(rows):\n"
    "    return moon.pull(rows) + 7\n",
    "include/models/tides/__init__.py": '"""Tides."""\n',
    "include/models/tides/deep.py": "def depth():\n    return 11\n",
    "include/models/unreached.py": "DEPTH = 99\n",
    "include/sql/queries/tides/rows.sql": "-- Grain: one row a day.\nSELECT 'a  -- b', x + 1.5 FROM t\n",
}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    shutil.copytree(
        ROOT / "include", root / "include", ignore=shutil.ignore_patterns("__pycache__", "static")
    )
    for name, text in TIDES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def tree(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "tree")
    return tmp_path / "tree"


def change(tree: Path, name: str, edit: Callable[[str], str]) -> None:
    path = tree / name
    before = path.read_text()
    after = edit(before)
    assert after != before, f"nothing to change in {name}"
    path.write_text(after)


def another_number(text: str, *, is_sql: bool = False) -> str:
    """The last number that stands in code, raised by one; the same text where none does."""
    if is_sql:
        code_only = re.sub(r"--[^\n]*|'[^']*'", lambda found: " " * len(found.group()), text)
        found = [m.span() for m in re.finditer(r"(?<![\w.])\d+(?![\w.])", code_only)]
    else:
        lines = text.splitlines(keepends=True)
        starts = [sum(map(len, lines[:at])) for at in range(len(lines))]
        found = [
            (starts[n.lineno - 1] + n.col_offset, starts[n.lineno - 1] + (n.end_col_offset or 0))
            for n in ast.walk(ast.parse(text))
            if isinstance(n, ast.Constant)
            and type(n.value) is int
            and lines[n.lineno - 1].isascii()
        ]
    if not found:
        return text
    start, end = max(found)
    return f"{text[:start]}{ast.literal_eval(text[start:end]) + 1}{text[end:]}"


def files_of(kind: str, root: Path) -> list[str]:
    reached = code.reached(KINDS[kind], root)
    modules = [name.replace(".", "/") for name in reached.modules]
    files = [f"{m}.py" if (root / f"{m}.py").exists() else f"{m}/__init__.py" for m in modules]
    return files + [f"include/sql/{name}" for name in reached.queries]


def moved(text: str, old: str, new: str) -> str:
    """A module with the imports of another one that has moved; the names in its code follow."""
    (old_folder, old_name), (new_folder, new_name) = (n.rsplit(".", 1) for n in (old, new))
    lines = text.split("\n")
    renamed = False
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ImportFrom):
            continue
        names = [ast.unparse(alias) for alias in node.names]
        if node.module == old:
            kept = [f"from {new} import {', '.join(names)}"]
        elif node.module == old_folder and old_name in names:
            renamed = True
            others = [name for name in names if name != old_name]
            kept = [f"from {old_folder} import {', '.join(others)}"] if others else []
            kept.append(f"from {new_folder} import {new_name}")
        else:
            continue
        indent = " " * node.col_offset
        gone = (node.end_lineno or node.lineno) - node.lineno
        lines[node.lineno - 1] = "\n".join(indent + line for line in kept)
        lines[node.lineno : node.lineno + gone] = [""] * gone
    text = "\n".join(lines)
    return re.sub(rf"(?<![\w.]){old_name}\.(?=\w)", f"{new_name}.", text) if renamed else text


@pytest.mark.parametrize("kind", KINDS)
def test_words_about_the_code_are_no_other_recipe(kind: str, original: Path, tree: Path) -> None:
    for name in files_of(kind, tree):
        if name.endswith(".sql"):
            change(
                tree,
                name,
                lambda text: f"-- Said otherwise.\n\n{text}".replace("SELECT", "SELECT  "),
            )
        else:
            change(tree, name, lambda text: '"""Said otherwise."""\n# and here\n\n' + text)
    assert code.identity(KINDS[kind], tree) == code.identity(KINDS[kind], original)


@pytest.mark.parametrize("kind", KINDS)
def test_another_number_anywhere_is_another_recipe(kind: str, original: Path, tree: Path) -> None:
    before = code.identity(KINDS[kind], original)
    silent = []
    changed = 0
    for name in files_of(kind, tree):
        path = tree / name
        text = path.read_text()
        other = another_number(text, is_sql=name.endswith(".sql"))
        if other == text:
            continue
        changed += 1
        path.write_text(other)
        code.identity.cache_clear()
        code._walk.cache_clear()
        if code.identity(KINDS[kind], tree) == before:
            silent.append(name)
        path.write_text(text)
    assert changed > 2
    assert not silent


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("value", "include.models.blend", "include.models.stacked"),
        ("value", "include.models.value.reasons", "include.models.value.whys"),
        ("recommender", "include.models.products.toplists", "include.models.tops"),
        ("redemption", "include.models.evaluate", "include.models.judge"),
        ("uplift", "include.models.campaigns.lift", "include.models.measured"),
        ("demand", "include.models.demand.smoothing", "include.features.smoothed"),
        ("tides", "include.models.moon", "include.models.tides.lunar"),
    ],
)
def test_a_module_that_moves_is_no_other_recipe(
    kind: str, old: str, new: str, original: Path, tree: Path
) -> None:
    def file(name: str) -> Path:
        return tree / f"{name.replace('.', '/')}.py"

    file(new).parent.mkdir(exist_ok=True, parents=True)
    file(old).rename(file(new))
    for path in (tree / "include").rglob("*.py"):
        path.write_text(moved(path.read_text(), old, new))
    assert code.identity(KINDS[kind], tree) == code.identity(KINDS[kind], original)


def test_a_function_that_moves_and_imports_written_otherwise_are_no_other_recipe(
    original: Path, tree: Path
) -> None:
    change(tree, "include/models/moon.py", lambda _: "from include.models.tides.deep import pull\n")
    change(
        tree, "include/models/tides/deep.py", lambda t: TIDES["include/models/moon.py"] + "\n\n" + t
    )
    change(
        tree,
        "include/steps/tides.py",
        lambda t: t.replace(
            "from include.models.moon import pull as drawn", "from include.models.tides import deep"
        ).replace("drawn(", "deep.pull("),
    )
    change(
        tree,
        "include/models/shore.py",
        lambda t: t.replace(
            "from include.models import moon", "from include.models.tides.deep import pull"
        ).replace("moon.pull", "pull"),
    )
    assert code.identity(KINDS["tides"], tree) == code.identity(KINDS["tides"], original)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("include/steps/tides.py", "import pull as drawn", "import push as drawn"),
        ("include/steps/tides.py", "shore.height(rows)", "shore.height([1])"),
        ("include/steps/tides.py", "RATE = 2", "RATE = 3"),
        ("include/models/tides/deep.py", "return 11", "return 12"),
        ("include/models/moon.py", "* 0.5", "* 0.25"),
        ("include/sql/queries/tides/rows.sql", "1.5", "1.6"),
        ("include/sql/queries/tides/rows.sql", "a  -- b", "a -- b"),
    ],
)
def test_what_computes_otherwise_is_another_recipe(
    name: str, old: str, new: str, original: Path, tree: Path
) -> None:
    change(
        tree, "include/models/moon.py", lambda t: t + "\n\ndef push(rows):\n    return -rows[0]\n"
    )
    before = code.identity(KINDS["tides"], tree)
    code.identity.cache_clear()
    code._walk.cache_clear()
    change(tree, name, lambda t: t.replace(old, new))
    assert code.identity(KINDS["tides"], tree) != before


def test_what_is_not_reached_is_no_part_of_a_recipe(original: Path, tree: Path) -> None:
    change(tree, "include/models/unreached.py", another_number)
    change(tree, "include/warehouse.py", another_number)
    assert code.identity(KINDS["tides"], tree) == code.identity(KINDS["tides"], original)


def test_what_is_missing_is_named(tree: Path) -> None:
    with pytest.raises(BadInput, match=r"include\.steps\.nowhere"):
        code.identity(("include.steps.nowhere",), tree)
    (tree / "include/sql/queries/tides/rows.sql").unlink()
    with pytest.raises(BadInput, match=r"include/sql/queries/tides/rows\.sql"):
        code.identity(KINDS["tides"], tree)
