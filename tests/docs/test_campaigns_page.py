"""The page on campaigns: every trigger with its keys, and examples that the policy takes."""

import re
from pathlib import Path

import yaml

from include import policy
from include.policy import campaigns
from include.policy.triggers import KINDS
from include.warehouse import ROOT

PAGE = (ROOT / "docs" / "campaigns.md").read_text(encoding="utf-8")
POLICY = policy.DEFAULT_PATH.read_text(encoding="utf-8")


def line_of(name: str) -> str:
    """The line of a trigger in the page's table."""
    keys = ", ".join(f"`{key}`" for key in KINDS[name].model_fields if key != "when")
    return f"| `{name}` | {KINDS[name].finds} | {keys} |".replace("  |", " |")


def test_every_trigger_is_listed_with_its_keys_and_no_other() -> None:
    listed = re.findall(r"^\| `(\w+)` \| [^|]+ \|[^|]*\|$", PAGE, flags=re.M)
    assert sorted(listed) == sorted(KINDS)
    for name in KINDS:
        line = line_of(name)
        assert line in PAGE.splitlines(), f"docs/campaigns.md lacks the line of a trigger: {line}"


def test_every_example_of_a_trigger_is_taken(tmp_path: Path) -> None:
    examples = [yaml.safe_load(line) for line in re.findall(r"^trigger: .*$", PAGE, flags=re.M)]
    assert {example["trigger"]["when"] for example in examples} == set(KINDS)
    for example in examples:
        document = yaml.safe_load(POLICY)
        used = [
            c
            for c in document["campaigns"]
            if c["trigger"]["when"] == example["trigger"]["when"]
            and c["trigger"].get("ratings") in (None, [1, 2])
        ]
        # One that no campaign of the shipped policy uses stands in another's place.
        campaign = used[0] if used else document["campaigns"][0]
        campaign["trigger"] = example["trigger"]
        policy.parse(yaml.safe_dump(document, allow_unicode=True))


def test_the_example_of_a_campaign_is_taken_and_names_every_key() -> None:
    example, *_ = re.findall(r"```yaml\n(  - name: .*?)```", PAGE, flags=re.S)
    (campaign,) = yaml.safe_load(example)
    assert set(campaign) == set(campaigns.Campaign.model_fields)
    document = yaml.safe_load(POLICY)
    document["campaigns"] = [campaign]
    rules = policy.parse(yaml.safe_dump(document, allow_unicode=True))
    assert rules.campaign("win_back").budget_total == 9000.0


def test_every_example_of_a_campaign_may_be_copied_into_the_policy() -> None:
    document = yaml.safe_load(POLICY)
    for example in re.findall(r"```yaml\n(  - name: .*?)```", PAGE, flags=re.S):
        document["campaigns"] = yaml.safe_load(example)
        policy.parse(yaml.safe_dump(document, allow_unicode=True))
