"""The policy: valid as shipped, and every fault told with its line, expected, found and advice."""

import random
import re
import textwrap
from datetime import UTC, date, datetime, time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from include import policy
from include.launcher.commands import policy as command
from include.policy import PolicyError, campaigns

TEXT = policy.DEFAULT_PATH.read_text(encoding="utf-8")


def faults(text: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        policy.parse(text, "policy.yml")
    return caught.value.problems


def changed(old: str, new: str) -> tuple[str, int]:
    """The shipped policy with its first `old` replaced, and the line where that stands."""
    assert old in TEXT, f"the shipped policy no longer holds {old!r}"
    before = TEXT[: TEXT.index(old)]
    return TEXT.replace(old, new, 1), before.count("\n") + 1


def test_the_shipped_policy_is_valid_and_the_demos() -> None:
    rules = policy.load(policy.DEFAULT_PATH)
    assert rules.shop.source == "complete_journey"
    assert rules.shop.timezone == "America/New_York"
    assert rules.shop.opened_on == date(2017, 1, 1)
    clock = rules.shop.fixed_clock()
    assert clock is not None
    assert clock.astimezone(UTC) == datetime(2017, 10, 2, 14, tzinfo=UTC)
    assert rules.approvals.spend_above is None
    assert not rules.approvals.first_run
    assert {campaign.name: campaign.trigger.when for campaign in rules.campaigns} == {
        "welcome": "registration",
        "second_purchase": "first_order",
        "birthday": "birthday",
        "vip_exclusive": "segment",
        "win_back": "segment",
        "service_recovery": "review",
        "abandoned_cart": "abandoned",
        "abandoned_browse": "abandoned",
        "price_drop": "price_drop",
        "member_event": "member_event",
        "overstock": "overstock",
        "review_thanks": "review",
        "replenishment": "replenish",
    }


def test_the_policy_of_the_first_version_is_valid() -> None:
    """Every key that came since has a default, so that nobody has to change a file to upgrade."""
    old = Path(__file__).resolve().parent.parent / "data" / "policy-0.1.0.yml"
    written = yaml.safe_load(old.read_text(encoding="utf-8"))
    rules = policy.load(old)
    assert set(written) <= set(type(rules).model_fields)
    campaigns = [campaign["name"] for campaign in written["campaigns"]]
    assert [campaign.name for campaign in rules.campaigns] == campaigns
    assert rules.shop.fixed_clock() == policy.load(policy.DEFAULT_PATH).shop.fixed_clock()


@pytest.mark.parametrize(
    ("old", "new", "expected", "found"),
    [
        ("currency: USD", "curency: USD", "write 'currency'", "curency"),
        ("currency: USD", "currency: dollars", "three capital letters", "dollars"),
        ("lookback_days: 3", "lookback_days: -1", "greater than or equal to 0", "-1"),
        ("lookback_days: 3", "lookback_days: three", "integer", "three"),
        ("timezone: America/New_York", "timezone: New York", "a time zone such as", "New York"),
        (
            "when: registration",
            "when: registered",
            "'abandoned', 'birthday', 'bought'",
            "registered",
        ),
        ("after_days: 3", "after_days: 28", "more than after_days (28)", "28"),
        ("at_least_days: 3", "at_least_days: 30", "at least at_least_days (30)", "14"),
        ("at_least_days: 3", "at_least_days: 1", "greater than or equal to 2", "found 1"),
        ("ratings: [4, 5]", "ratings: [5, 5]", "each rating once", "found 5"),
        ("ratings: [4, 5]", "ratings: [2, 5]", "above activation.complaints.rating", "found 2"),
        ("ratings: [4, 5]", "ratings: [6]", "less than or equal to 5", "found 6"),
        ("minimum_drop: 0.15", "minimum_drop: 15", "less than 1", "found 15"),
        ("event: cart ", "event: wish ", "'browse' or 'cart'", "wish"),
        ("repeat: once ", "repeat: each ", "no one event, product or review", "found each"),
        ("control_share: 0.10", "control_share: 1.0", "less than 1", "found 1.0"),
        ("locale: en_US", "locale: en_XY_ZZ_", "a language, or one with its country", "en_XY"),
        ("titles: {es:", "titles: {english:", "a language, or one with its country", "english"),
        ("sms_parts: 2", "sms_parts: 0", "greater than or equal to 1", "found 0"),
        (
            "total: null",
            "total: {amount: 1.00, starts_on: 2017-10-01, ends_on: 2017-12-31}",
            "at least one 'welcome_3' of campaign 'welcome' (3)",
            "found 1",
        ),
        (
            "total: null",
            "total: {amount: 900.00, starts_on: 2017-10-01, ends_on: 2017-09-30}",
            "on or after starts_on (2017-10-01)",
            "found 2017-09-30",
        ),
        ("within_days: 14", "inside_days: 14", "the keys when, within_days", "inside_days"),
        ("channels: [email, sms]", "channels: [fax]", "'email', 'sms' or 'push'", "fax"),
        ("offer: welcome_3", "offer: welcome_4", "write 'welcome_3'", "welcome_4"),
        ("audience: [vip]", "audience: [vips]", "write 'vip'", "vips"),
        ("audience: all", "audience: everybody", "'all'", "everybody"),
        ("messages: 2", "messages: 0", "at least 1 while campaigns are enabled", "found 0"),
        (
            "- name: birthday\n",
            "- name: birthday\n    name: again\n",
            "each key once",
            "second time",
        ),
        ("- name: birthday\n", "- name: welcome\n", "each name once", "'welcome'"),
        (
            "valid_days: 21",
            "valid_days: 1",
            "an offer valid for at least the 3 days",
            "valid_days 1",
        ),
        ("budget_per_day: 200.00", "budget_per_day: 1", "at least one 'welcome_3' (3)", "found 1"),
        ("per_day: 1000.00", "per_day: 4.5", "at least one 'come_back_5'", "found 4.5"),
        ('end: "08:00"', 'end: "20:30"', "some of the send window", "21:00 to 20:30"),
        ('start: "09:00"', 'start: "20:00"', "a start before the end", "20:00"),
        ("by: category", "by: colour", "'category', 'type' or 'manufacturer'", "colour"),
        ("at_most: 2", "at_mots: 2", "write 'at_most'", "at_mots"),
        ("lowest: 0.25", "lowest: 8\n      colour: red", "the keys name, lists", "colour"),
        ("highest: 4", "highest: 0.1", "more than lowest (0.25)", "0.1"),
        ("name: one_of_a_type", "name: no_tobacco", "each name once", "'no_tobacco'"),
        (
            "rule: not_returned",
            "audience: [vips]\n      rule: not_returned",
            "a segment of segments.named",
            "'vips'",
        ),
        (
            "products: {categories: [CIGARETTES, CIGARS, TOBACCO OTHER]}",
            "products: {}",
            "at least one of product_ids, types",
            "none",
        ),
        ("variety: 0.1", "variety: 1.5", "less than or equal to 1", "1.5"),
        ("slots: 1", "slots: 11", "at most list_length (10)", "11"),
        ("repeat: year", "repeat: month", "year for a birthday campaign", "month"),
        ("template: welcome", "template: welcom", "templates/welcom/email.txt", "none"),
        ("lapsing_days: 91", "lapsing_days: 30", "more than active_days", "30"),
        (
            "source: complete_journey",
            "source: my_shop",
            "a folder include/sql/extract/my_shop",
            "none",
        ),
        (
            "clock: 2017-10-02T10:00:00",
            "clock: 2016-10-02T10:00:00",
            "after shop.opened_on",
            "2016-10-02",
        ),
        ("value: 0.10", "value: 10", "a share between 0 and 1", "found 10"),
        ("share: 0.05", "share: 5%", "a valid number", "5%"),
        ("minimum_spend: 25.00", "minimum_spend: 1.00", "at least the offer's value", "found 1"),
    ],
)
def test_a_fault_is_one_sentence_with_its_line(
    old: str, new: str, expected: str, found: str
) -> None:
    text, _ = changed(old, new)
    problems = faults(text)
    told = [problem for problem in problems if expected in problem and found in problem]
    assert told, problems
    where = re.match(r"policy\.yml:(\d+): (?:[\w.\[\]]*?)(\w+)(?:\[\d+\])?: expected", told[0])
    assert where, told[0]
    assert where[2] in text.splitlines()[int(where[1]) - 1], "the line holds the key it speaks of"
    assert told[0].endswith(".")
    assert "\n" not in told[0]


def test_exact_lines() -> None:
    text, line = changed("currency: USD", "curency: USD")
    assert faults(text) == [
        f"policy.yml:{line}: shop.curency: expected one of the keys "
        f"{', '.join(policy.Shop.model_fields)}; found 'curency'; write 'currency'."
    ]


def test_a_date_that_does_not_exist() -> None:
    text, line = changed("opened_on: 2017-01-01", "opened_on: 2017-02-30")
    assert faults(text)[0].startswith(
        f"policy.yml:{line}: expected a date that exists, found 2017-02-30"
    )


def test_every_fault_is_told_at_once() -> None:
    text = TEXT.replace("currency: USD", "currency: usd").replace("seed: 20170101", "seed: -1")
    assert len(faults(text)) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "found nothing"),
        ("- 1", "expected sections"),
        ("shop: [1", "expected YAML"),
        ("shop:\n  source: a\n bad: 1", "expected YAML"),
        ("\tshop: 1", "expected spaces"),
    ],
)
def test_what_is_no_policy(text: str, expected: str) -> None:
    assert expected in faults(text)[0]


NEEDED = {name for name, field in policy.Policy.model_fields.items() if field.is_required()}


@pytest.mark.parametrize("section", sorted(NEEDED))
def test_a_missing_section_is_named(section: str) -> None:
    document = yaml.safe_load(TEXT)
    del document[section]
    problems = faults(yaml.safe_dump(document))
    assert any(f"expected the key '{section}', found none" in problem for problem in problems)


def test_a_missing_file() -> None:
    with pytest.raises(PolicyError, match="expected a readable policy file, found: No such file"):
        policy.load("/nowhere/policy.yml")


def test_segments_must_cover_everybody_and_be_reachable() -> None:
    text, _ = changed(
        "lifecycle: [lost]\n      value_tier: high", "lifecycle: [new]\n      value_tier: high"
    )
    problems = faults(text)
    assert any("found none for (some cells of) lost/high" in problem for problem in problems)
    assert any("'lost_vip' wholly covered" in problem for problem in problems)


def test_segments_may_be_cells_of_rfm_and_must_still_cover_everybody() -> None:
    shipped = policy.parse(TEXT)
    assert shipped.segments.of("active", "low", "5-5-1").name == "frequent_small"
    assert shipped.segments.of("active", "low", "5-1-5").name == "seldom_large"
    assert shipped.segments.of("active", "low", "5-3-3").name == "regular"
    assert len(shipped.segments.named) <= 12
    text, _ = changed(
        "    - name: regular\n      lifecycle: [active]",
        "    - name: regular\n      rfm: {recency: [2, 5]}\n      lifecycle: [active]",
    )
    assert any("cells of) active/low" in problem for problem in faults(text))
    text, _ = changed("rfm: {frequency: [4, 5], monetary: [1, 3]}", "rfm: {frequency: [5, 4]}")
    assert any("frequency" in problem for problem in faults(text))


def test_no_campaigns_need_no_caps_or_budgets() -> None:
    text = TEXT.replace("enabled: true", "enabled: false")
    text = text.replace("messages: 2", "messages: 0").replace("per_day: 1000.00", "per_day: 0")
    assert policy.parse(text).caps.marketing.messages == 0


def test_the_hash_follows_content_and_not_form() -> None:
    shipped = policy.parse(TEXT)
    document = yaml.safe_load(TEXT)
    sections = list(document)
    random.Random(7).shuffle(sections)
    reordered = yaml.safe_dump({name: document[name] for name in sections}, sort_keys=False)
    assert policy.parse(reordered).hash == shipped.hash
    assert policy.parse(TEXT.replace("messages: 2", "messages: 3")).hash != shipped.hash
    assert re.fullmatch(r"[0-9a-f]{16}", shipped.hash)


def test_the_clock_is_deliverys_alone_and_moves_no_hash() -> None:
    text = TEXT.replace("clock: 2017-10-02T10:00:00", "clock: null")
    assert policy.parse(text).shop.fixed_clock() is None
    assert policy.parse(text).hash == policy.parse(TEXT).hash


def test_an_unquoted_time_is_the_time_meant() -> None:
    """YAML 1.1 reads 21:00 as a number in base 60."""
    rules = policy.parse(TEXT.replace('start: "21:00"', "start: 21:00"))
    assert rules.activation.quiet_hours.start == time(21)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "policy.yml"
    file.write_text(TEXT)
    first = policy.load(file)
    assert policy.load(file) is first
    file.write_text(TEXT.replace("lookback_days: 3", "lookback_days: 14"))
    assert policy.load(file).ingest.lookback_days == 14


def test_the_environment_names_the_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "other.yml"
    file.write_text(TEXT.replace("lookback_days: 3", "lookback_days: 5"))
    monkeypatch.setenv("REGULARS_POLICY", str(file))
    assert policy.load().ingest.lookback_days == 5


def test_check_says_what_is_valid_and_what_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["check"]) == 0
    assert "config/policy.yml: valid. 10 segments, 7 offers, 13 of 13 campaigns on" in (
        capsys.readouterr().out
    )
    file = tmp_path / "policy.yml"
    file.write_text(TEXT.replace("messages: 2", "mesages: 2"))
    assert command.main(["check", str(file)]) == 1
    assert "caps.marketing.mesages: expected one of the keys messages" in capsys.readouterr().err
    assert command.main([]) == 2
    assert command.main(["forget"]) == 2


def test_offers_cost_what_they_say() -> None:
    rules = policy.load(policy.DEFAULT_PATH)
    percent = rules.offer("vip_10_percent")
    assert percent.cost(60) == pytest.approx(6)
    assert percent.cost(1000) == pytest.approx(10)
    assert percent.cost(1) == pytest.approx(3)
    assert rules.offer("come_back_5").cost(1000) == 5


def test_a_campaign_may_begin_and_end() -> None:
    text, _ = changed(
        "    repeat: year\n",
        textwrap.indent("repeat: year\nstarts_on: 2017-10-01\nends_on: 2017-10-03\n", "    "),
    )
    campaign = policy.parse(text).campaign("birthday")
    days = [date(2017, 9, 30), date(2017, 10, 1), date(2017, 10, 3), date(2017, 10, 4)]
    assert [campaign.runs_on(day) for day in days] == [False, True, True, False]
    assert (
        "expected a day on or after starts_on"
        in faults(text.replace("ends_on: 2017-10-03", "ends_on: 2017-09-03"))[0]
    )


def test_a_rule_of_an_unknown_kind_or_without_its_keys_is_told_with_its_line() -> None:
    text, line = changed("rule: exclude", "rule: forbid")
    assert faults(text) == [
        f"policy.yml:{line - 1}: recommendations.rules[0]: expected `rule` to be one of 'include', "
        "'exclude', 'sensitive', 'boost', 'pin', 'price_band', 'limit', 'one_of_a_family', 'cadence', "
        "'favourite_brand', 'not_returned', 'not_rated_low'; found 'forbid'; correct it."
    ]
    text, line = changed("rule: exclude", "rule: pin")
    (fault,) = faults(text)
    assert fault.startswith(
        f"policy.yml:{line - 1}: recommendations.rules[0]: expected the key 'position'"
    )


def test_two_pins_cannot_have_one_position() -> None:
    pin = "    - {name: %s, rule: pin, position: 1, products: {types: [MILK]}}\n"
    text, line = changed("  rules:\n", "  rules:\n" + pin % "first_pin" + pin % "second_pin")
    (fault,) = faults(text)
    assert fault.startswith(f"policy.yml:{line + 2}: recommendations.rules[1].position: ")
    assert "which 'first_pin' has for the same list" in fault


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  timezone: America", "\ttimezone: America"),
        ("  timezone: America", "  \ttimezone: America"),
        ("  source: complete", "\tsource: complete"),
        ("  - name: second_purchase", "\t- name: second_purchase"),
    ],
)
def test_a_tab_is_called_a_tab(old: str, new: str) -> None:
    text, line = changed(old, new)
    assert faults(text) == [
        f"policy.yml:{line}: expected spaces at the beginning of the line, found a tab; put spaces in its "
        "place."
    ]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("stock_levels", ["campaign overstock is on and finds its customers in stock_levels"]),
        ("reviews", ["campaign service_recovery is on", "campaign review_thanks is on"]),
        ("member_events", ["campaign member_event is on and finds its customers in member_events"]),
        ("events", ["campaign abandoned_cart", "campaign abandoned_browse", "campaign price_drop"]),
        (
            "consents",
            ["consents is switched off (ingest.sources.consents), so nobody may be written"],
        ),
        ("orders", ["orders is switched off (ingest.sources.orders), and every run stops"]),
        ("mentions", []),
    ],
)
def test_check_warns_of_campaigns_whose_sources_are_off(
    source: str, told: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "policy.yml"
    path.write_text(TEXT.replace(f"    {source}: true", f"    {source}: false", 1))
    assert command.main(["check", str(path)]) == 0
    first, *warnings = capsys.readouterr().out.splitlines()
    assert ": valid. " in first
    assert len(warnings) == len(told)
    for line, expected in zip(warnings, told, strict=True):
        assert line.startswith(f"Warning: {expected}")


def test_a_campaign_that_is_off_needs_no_source(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    path = tmp_path / "policy.yml"
    text = TEXT.replace("    stock_levels: true", "    stock_levels: false", 1)
    at = text.index("- name: overstock")
    path.write_text(text[:at] + text[at:].replace("enabled: true", "enabled: false", 1))
    assert command.main(["check", str(path)]) == 0
    assert "Warning" not in capsys.readouterr().out


def test_regions_are_found_as_core_writes_them() -> None:
    document = yaml.safe_load(TEXT)
    document["shop"]["region_timezones"] = {" North": "America/Chicago"}
    document["shop"]["region_locales"] = {"NORTH ": "es_US"}
    shop = policy.parse(yaml.safe_dump(document)).shop
    assert shop.timezone_of("north") == "America/Chicago"
    assert shop.locale_of("north") == "es_US"
    assert shop.timezone_of("south") == shop.timezone_of(None) == shop.timezone
    document["shop"]["region_timezones"] = {"North": "America/Chicago", "north": "America/Denver"}
    assert "each region once" in faults(yaml.safe_dump(document))[0]


def test_tills_may_differ_by_two_days_where_the_policy_does_not_say() -> None:
    document = yaml.safe_load(TEXT)
    del document["coupons"]
    assert policy.parse(yaml.safe_dump(document)).coupons.clock_tolerance_hours == 48


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
        + "".join(f"{y}: &{y} [{', '.join([f'*{x}'] * 10)}]\n" for x, y in pairwise("abcdefgh")),
        "shop: &s\n  again: *s\n",
    ],
    ids=["aliases of aliases", "an alias within itself"],
)
def test_aliases_cannot_say_more_than_a_policy_does(text: str) -> None:
    assert "by aliases (*)" in faults(text)[0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"activation": {"minimum_age": 0}}, "children are written to"),
        (
            {"activation": {"quiet_hours": {"start": "00:00", "end": "00:00"}}},
            "quiet_hours are empty",
        ),
    ],
)
def test_what_may_be_a_slip_is_told(change: dict[str, Any], told: str) -> None:
    document = yaml.safe_load(TEXT)
    for section, keys in change.items():
        document[section] |= keys
    assert any(told in doubt for doubt in campaigns.doubts(policy.parse(yaml.safe_dump(document))))
    assert not list(campaigns.doubts(policy.parse(TEXT)))


def test_campaigns_that_nothing_holds_back_or_cannot_be_written_are_told() -> None:
    document = yaml.safe_load(TEXT)
    for campaign in document["campaigns"]:
        campaign["cap_class"] = "transactional"
        if campaign["name"] == "welcome":
            campaign["offer"] = "no_coupon"
    document["offers"][1] |= {"kind": "percent_off", "value": 0.1}
    document["offers"][1].pop("at_most", None)
    found = " ".join(campaigns.doubts(policy.parse(yaml.safe_dump(document))))
    assert "every campaign that is on is transactional" in found
    assert "campaign welcome has the template welcome" in found
    assert "without at_most" in found


@pytest.mark.parametrize(
    ("brake", "messages", "exceeded"),
    [
        (None, 10**9, False),
        ({"messages": 100}, 100, False),
        ({"messages": 100}, 101, True),
        ({"share_of_customers": 0.1}, 100, False),
        ({"share_of_customers": 0.1}, 101, True),
    ],
)
def test_a_day_of_too_many_messages_is_noticed(brake: Any, messages: int, exceeded: bool) -> None:
    document = yaml.safe_load(TEXT)
    document["caps"]["per_day"] = brake
    found = policy.parse(yaml.safe_dump(document)).caps.exceeded(messages, customers=1000)
    assert bool(found) is exceeded
