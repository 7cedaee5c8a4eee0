"""A trigger is one module: found by itself, complete, or told in a sentence what is missing."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from include import policy
from include.launcher.commands import policy as command
from include.offers import copy, words
from include.policy import PolicyError, triggers
from include.policy.campaigns import Channel
from include.policy.trigger import Trigger
from include.policy.triggers import KINDS
from include.policy.triggers.bought import Bought
from include.warehouse import ROOT
from tests.unit.test_copy import VARIABLES

RULES = policy.parse(policy.DEFAULT_PATH.read_text(encoding="utf-8"))
TEXT = policy.DEFAULT_PATH.read_text(encoding="utf-8")

#: Where what belongs to a trigger stands, beside its module.
PLACES = (
    "docs", "include/offers/templates", "include/sql/queries/again", "include/sql/queries/triggers",
    "tests/sql/triggers",
)  # fmt: skip


def languages() -> list[str]:
    """The languages that offers have titles in, beside the shop's own."""
    return sorted({name.partition("_")[0] for offer in RULES.offers for name in offer.titles})


def missing(name: str, kind: type[Trigger], root: Path) -> Iterator[str]:
    """A sentence for each thing that a trigger should have and has not."""
    if kind.query is not None:
        file = f"include/sql/queries/triggers/{kind.query}.sql"
        if not (root / file).is_file():
            yield f"Expected the rows of trigger {name} from {file}, found none: write its query."
    file = f"include/sql/queries/again/{name}.sql"
    if not (root / file).is_file():
        yield (
            f"Expected a query that asks again whether the reason of trigger {name} holds in {file}, found "
            "none: write it."
        )
    for channel in get_args(Channel):
        for ending in ("", *(f".{language}" for language in languages())):
            file = f"include/offers/templates/{kind.template}/{channel}{ending}.txt"
            if not (root / file).is_file():
                yield f"Expected words for trigger {name} in {file}, found none: write them."
    page = (root / "docs/campaigns.md").read_text(encoding="utf-8")
    if f"| `{name}` | {kind.finds} |" not in page:
        yield (
            f"Expected a line for trigger {name} in docs/campaigns.md, found none: add "
            f"| `{name}` | {kind.finds} | and its keys."
        )
    if f"| `{name}` | {kind.ends} |\n" not in page:
        yield (
            f"Expected a line for the end of trigger {name} in docs/campaigns.md, found none: add "
            f"| `{name}` | {kind.ends} |."
        )
    if f"trigger: {{when: {name}" not in page:
        yield (
            f"Expected an example of trigger {name} in docs/campaigns.md, found none: add "
            f"trigger: {{when: {name}, ...}}."
        )
    file = f"tests/sql/triggers/{name}.yml"
    given = yaml.safe_load((root / file).read_text()) if (root / file).is_file() else {}
    if not any(case["found"] for case in given.get("cases", [])):
        yield (
            f"Expected rows for trigger {name} and whom it finds in {file}, found none: write "
            "some that it finds and some that it just does not."
        )
    elif not any(case["gone"] for case in given.get("ends", [])):
        yield (
            f"Expected a case in which the reason of trigger {name} ends before its message leaves in "
            f"{file}, found none: write it under ends."
        )


@pytest.mark.parametrize("name", KINDS)
def test_a_trigger_is_complete(name: str) -> None:
    told = next(missing(name, KINDS[name], ROOT), None)
    assert told is None, told


def test_rows_belong_to_a_trigger() -> None:
    files = {file.stem for file in (ROOT / "tests/sql/triggers").iterdir()}
    assert files == set(KINDS)
    queries = {file.stem for file in (ROOT / "include/sql/queries/triggers").iterdir()}
    assert queries == {kind.query for kind in KINDS.values()} - {None}
    asked = {file.stem for file in (ROOT / "include/sql/queries/again").iterdir()}
    assert asked == set(KINDS)


@pytest.mark.parametrize(
    "file",
    [
        "include/sql/queries/triggers/bought.sql",
        "include/sql/queries/again/bought.sql",
        "include/offers/templates/bought/email.txt",
        "include/offers/templates/bought/push.es.txt",
        "tests/sql/triggers/bought.yml",
        "docs/campaigns.md",
    ],
)
def test_an_incomplete_trigger_is_told_by_the_file_that_it_lacks(tmp_path: Path, file: str) -> None:
    for place in PLACES:
        shutil.copytree(ROOT / place, tmp_path / place)
    assert list(missing("bought", Bought, tmp_path)) == []
    if file.endswith(".md"):
        page = (tmp_path / file).read_text()
        (tmp_path / file).write_text(page.replace("| `bought` |", "| `brought` |", 1))
    else:
        (tmp_path / file).unlink()
    (told,) = missing("bought", Bought, tmp_path)
    assert "trigger bought" in told
    assert file in told


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "found none"),
        (
            "from typing import Literal\nfrom include.policy.trigger import Trigger\n"
            "class Half(Trigger):\n    when: Literal['whole']\n",
            r"found Half \(when: whole\)",
        ),
    ],
)
def test_a_module_that_is_no_trigger_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, found: str
) -> None:
    name = f"half_{len(text)}"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(triggers, "__path__", [*triggers.__path__, str(tmp_path)])
    with pytest.raises(TypeError, match=rf"in include/policy/triggers/{name}\.py, {found}"):
        triggers.kinds()


def test_reading_the_policy_loads_nothing_heavy() -> None:
    """DAG files read it whenever they are parsed."""
    code = (
        "import sys; from include import policy; policy.load(); "
        "print({'pandas', 'numpy'} & set(sys.modules))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "set()"


# --- bought ----------------------------------------------------------------------------------------


def asking(**changes: Any) -> str:
    """The shipped policy with one campaign on what was bought; `changes` go into its trigger."""
    page = (ROOT / "docs/campaigns.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(  - name: cheese_again.*?)```", page, flags=re.S)
    document = yaml.safe_load(TEXT)
    (campaign,) = yaml.safe_load(example)
    trigger = campaign["trigger"] | {k: v for k, v in changes.items() if k != "repeat"}
    campaign["trigger"] = {k: v for k, v in trigger.items() if v is not None}
    campaign["repeat"] = changes.get("repeat", campaign["repeat"])
    document["campaigns"] = [campaign]
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False)


@pytest.mark.parametrize(
    ("changes", "place", "expected"),
    [
        (
            {"categories": None},
            "trigger",
            "expected at least one of product_ids, types, categories,",
        ),
        ({"categories": []}, "categories", "list should have at least 1 item"),
        ({"bought": True}, "bought_before_days", "only beside bought: false, found it without;"),
        (
            {"within_days": 56},
            "bought_before_days",
            "expected more than within_days (56), found 56;",
        ),
        ({"category": ["CHEESE"]}, "category", "found 'category'; write 'categories'."),
        (
            {"repeat": "each", "bought_before_days": None},
            "repeat",
            "a campaign on bought, which speaks of no one event, product or review; found each;",
        ),
    ],
)
def test_what_contradicts_itself_is_told_with_its_line(
    changes: dict[str, Any], place: str, expected: str
) -> None:
    text = asking(**changes)
    with pytest.raises(PolicyError) as error:
        policy.parse(text)
    (told,) = error.value.problems
    line = int(told.split(":")[1])
    key = place if place in text else "trigger"
    assert text.splitlines()[line - 1].strip().startswith(f"{key}:")
    assert expected in told


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({}, []),
        (
            {"categories": ["CHEESE", "PHARMACY"]},
            ["asks for 'PHARMACY' (categories), which the rule"],
        ),
        ({"types": ["PHARMACY"], "categories": None}, []),
    ],
)
def test_check_warns_of_what_is_sensitive(
    changes: dict[str, Any],
    warned: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "policy.yml").write_text(asking(**changes), encoding="utf-8")
    assert command.main(["check", str(tmp_path / "policy.yml")]) == 0
    _, *warnings = capsys.readouterr().out.splitlines()
    assert len(warnings) == len(warned)
    for line, expected in zip(warnings, warned, strict=True):
        assert line.startswith(f"Warning: campaign cheese_again {expected} nothing_that_reveals")


FORMS = [
    {"within_days": 21},
    {"within_days": 21, "bought": False, "bought_before_days": 56},
    {"within_days": 21, "bought": False},
]


@pytest.mark.parametrize("channel", get_args(Channel))
@pytest.mark.parametrize("keys", FORMS)
def test_each_form_of_it_has_words_by_every_channel_in_every_language(
    channel: str, keys: dict[str, Any]
) -> None:
    trigger = Bought(when="bought", categories=["CHEESE"], **keys)
    common = {name: value for name, value in VARIABLES.items() if name != "product"}
    row = {"product": "AGED GOUDA"} if trigger.is_about_one else None
    found = []
    for locale in ("en_US", "es_US"):
        occasion = trigger.occasion(row, None, words.Words("USD", locale))
        written = copy.write("bought", channel, common | occasion, locale, most_parts=1)
        assert ("AGED GOUDA" in written.body) is trigger.is_about_one
        assert "\n\n\n\n" not in written.body
        found.append(written.body)
    assert found[0] != found[1]
