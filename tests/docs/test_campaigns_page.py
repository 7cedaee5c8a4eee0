"""The page on campaigns: every trigger with its keys, and examples that the policy takes."""

import re
from pathlib import Path
from typing import get_args

import yaml

from include import policy
from include.policy import campaigns, triggers
from include.warehouse import ROOT

PAGE = (ROOT / "docs" / "campaigns.md").read_text(encoding="utf-8")
POLICY = policy.DEFAULT_PATH.read_text(encoding="utf-8")


def models() -> dict[str, list[str]]:
    """Trigger -> its keys."""
    union = get_args(get_args(triggers.Trigger)[0])
    return {
        get_args(model.model_fields["when"].annotation)[0]: [
            name for name in model.model_fields if name != "when"
        ]
        for model in union
    }


def test_every_trigger_is_listed_with_its_keys() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \|([^|]*)\|$", PAGE, flags=re.M))
    assert {name: re.findall(r"`(\w+)`", keys) for name, keys in rows.items()} == models()


def test_every_example_of_a_trigger_is_taken(tmp_path: Path) -> None:
    examples = [yaml.safe_load(line) for line in re.findall(r"^trigger: .*$", PAGE, flags=re.M)]
    assert {example["trigger"]["when"] for example in examples} == set(models())
    for example in examples:
        document = yaml.safe_load(POLICY)
        (campaign, *_) = (
            c
            for c in document["campaigns"]
            if c["trigger"]["when"] == example["trigger"]["when"]
            and c["trigger"].get("ratings") in (None, [1, 2])
        )
        campaign["trigger"] = example["trigger"]
        policy.parse(yaml.safe_dump(document, allow_unicode=True))


def test_the_example_of_a_campaign_is_taken_and_names_every_key() -> None:
    (example,) = re.findall(r"```yaml\n(  - name: .*?)```", PAGE, flags=re.S)
    (campaign,) = yaml.safe_load(example)
    assert set(campaign) == set(campaigns.Campaign.model_fields)
    document = yaml.safe_load(POLICY)
    document["campaigns"] = [campaign]
    rules = policy.parse(yaml.safe_dump(document, allow_unicode=True))
    assert rules.campaign("win_back").budget_total == 9000.0
