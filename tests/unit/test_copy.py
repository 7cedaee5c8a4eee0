"""The words of messages: what a customer is called is data, and every message says what it must."""

from pathlib import Path
from typing import Any

import pytest

from include import policy
from include.offers import copy, sms

RULES = policy.parse(policy.DEFAULT_PATH.read_text(encoding="utf-8"))

VARIABLES: dict[str, Any] = {
    "first_name": "Ann",
    "sender_name": "Regulars Demo Shop",
    "postal_address": "1 Market Street, Springfield",
    "unsubscribe_url": "https://shop.example/unsubscribe?m=1",
    "offer_title": "$3 off your next shop",
    "coupon_code": "KDF7T-9XWPM-C4HRY",
    "minimum_spend": "$25",
    "at_most": "$10",
    "valid_until": "22 October 2017",
    "to_discover": ["Cheese", "Bread"],
    "to_replenish": ["Milk"],
    "goes_with": ["Crackers"],
    "priority_service": True,
    "birthday": "October 4",
    "product": "AGED GOUDA",
    "price_now": "$3.99",
    "price_before": "$5.99",
    "event_name": "Cheese Evening",
    "event_starts": "October 12, 2017",
    "event_ends": "October 12, 2017",
}

EVERY = [
    (campaign.template, channel) for campaign in RULES.campaigns for channel in campaign.channels
]


@pytest.mark.parametrize(("template", "channel"), EVERY)
def test_every_template_of_the_policy_says_what_it_must(template: str, channel: str) -> None:
    words = copy.write(template, channel, VARIABLES)
    has_coupon = {c.template: RULES.offer(c.offer).has_coupon for c in RULES.campaigns}[template]
    assert (VARIABLES["coupon_code"] in words.body) is has_coupon
    assert ("22 October 2017" in words.body) is has_coupon
    assert ("$25" in words.body and "$10" in words.body) is has_coupon
    assert words.source == f"template/{template}/{channel}"
    if channel == "email":
        assert words.subject
        assert "\n" not in words.subject
        assert "https://shop.example/unsubscribe?m=1" in words.body
        assert "1 Market Street" in words.body
    else:
        assert words.subject is None
        assert "STOP" in words.body
        assert "\n" not in words.body


@pytest.mark.parametrize(("template", "channel"), EVERY)
def test_a_customer_without_a_name_or_recommendations_is_addressed_too(
    template: str, channel: str
) -> None:
    words = copy.write(
        template, channel, VARIABLES | {"first_name": "", "to_discover": [], "to_replenish": []}
    )
    for text in (words.subject or "", words.body, words.body_html or ""):
        assert "None" not in text
        assert "{" not in text


@pytest.mark.parametrize(
    "name",
    [
        "{{ 7 * 7 }}",
        "{% for x in range(9**9) %}{% endfor %}",
        "{{ ''.__class__.__mro__ }}",
        "<script>alert(1)</script>",
        "=HYPERLINK(1)",
        "Ann\r\nBcc: everybody@example.com",
        "Ann\u2028Bcc: x",
    ],
)
@pytest.mark.parametrize(("template", "channel"), EVERY)
def test_a_name_is_data(template: str, channel: str, name: str) -> None:
    words = copy.write(template, channel, VARIABLES | {"first_name": name})
    assert "49" not in words.body
    assert "\n" not in (words.subject or "")
    assert "\r" not in words.body
    assert "\nBcc" not in words.body
    if words.body_html is not None:
        assert "<script>" not in words.body_html


def test_a_missing_variable_stops_the_message_and_says_which() -> None:
    less = {name: value for name, value in VARIABLES.items() if name != "coupon_code"}
    with pytest.raises(copy.CopyError, match="coupon_code"):
        copy.write("welcome", "email", less)


def test_the_html_part_must_say_how_to_end_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half").mkdir()
    foot = "{{ sender_name }} {{ postal_address }} {{ unsubscribe_url }}"
    (tmp_path / "half" / "email.txt").write_text(f"Subject: x\n{foot}\n")
    html = tmp_path / "half" / "email.html"
    html.write_text("<p>{{ sender_name }} {{ postal_address }}</p>")
    monkeypatch.setattr(copy, "TEMPLATES", tmp_path)
    copy._environment.cache_clear()
    values = VARIABLES | {"unsubscribe_url": "https://shop.example/u?a=1&m=2"}
    try:
        with pytest.raises(copy.CopyError, match=r"half/email.html to say unsubscribe_url"):
            copy.write("half", "email", values)
        html.write_text(f"<p>{foot}</p>")
        copy._environment.cache_clear()
        assert copy.write("half", "email", values).body_html
    finally:
        copy._environment.cache_clear()


def test_a_message_must_say_how_to_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "email.txt").write_text("Subject: x\nHello from {{ sender_name }}\n")
    (tmp_path / "bare" / "sms.txt").write_text("{{ sender_name }} says hello")
    monkeypatch.setattr(copy, "TEMPLATES", tmp_path)
    copy._environment.cache_clear()
    try:
        with pytest.raises(copy.CopyError, match="to say unsubscribe_url"):
            copy.write("bare", "email", VARIABLES)
        with pytest.raises(copy.CopyError, match="to say stop_word"):
            copy.write("bare", "sms", VARIABLES)
        with pytest.raises(copy.CopyError, match="absent"):
            copy.write("absent", "sms", VARIABLES)
    finally:
        copy._environment.cache_clear()


def test_a_template_cannot_reach_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "sms.txt").write_text("{{ sender_name.__class__.__mro__ }}")
    monkeypatch.setattr(copy, "TEMPLATES", tmp_path)
    copy._environment.cache_clear()
    try:
        with pytest.raises(copy.CopyError, match="unsafe"):
            copy.write("bad", "sms", VARIABLES)
    finally:
        copy._environment.cache_clear()


SPANISH = VARIABLES | {
    "birthday": "4 de octubre",
    "event_starts": "12 de octubre de 2017",
    "event_ends": "12 de octubre de 2017",
}


@pytest.mark.parametrize("template", sorted({campaign.template for campaign in RULES.campaigns}))
@pytest.mark.parametrize("channel", ["email", "sms", "push"])
def test_every_campaign_speaks_spanish_and_goes_by_every_channel(
    template: str, channel: str
) -> None:
    """The second locale of the templates: complete, with the same facts, and as short as the first."""
    offer = {c.template: RULES.offer(c.offer) for c in RULES.campaigns}[template]
    longest = {"valid_until": "22 de septiembre de 2017", "offer_title": offer.title_in("es_US")}
    assert not offer.has_coupon or longest["offer_title"] != offer.title
    english_words = VARIABLES | {"offer_title": offer.title}
    plain = copy.write(template, channel, english_words, most_parts=RULES.caps.sms_parts)
    words = copy.write(template, channel, SPANISH | longest, "es_US", RULES.caps.sms_parts)
    assert words.source == f"template/{template}/{channel}.es"
    assert words.body != plain.body
    for name in ("coupon_code", "product", "price_now", "event_name", "unsubscribe_url"):
        fact = VARIABLES[name]
        assert (fact in words.body) is (fact in plain.body), name
    for english in ("Hello", "Dear", "code", "until", "Valid", "STOP to end", "No more"):
        assert english not in words.body
    if channel == "sms":
        assert sms.length(words.body).encoding == "GSM-7", "accents outside it halve a part"


def test_no_message_mixes_two_languages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy, "TEMPLATES", tmp_path)
    copy._localised.cache_clear()
    (tmp_path / "x").mkdir()
    for name in ("email.txt", "sms.txt", "email.es.txt", "sms.pt_BR.txt"):
        (tmp_path / "x" / name).write_text("words")
    found = {
        (channel, locale): copy.locale_of("x", channel, locale, "en_US")
        for channel in ("email", "sms")
        for locale in ("es_MX", "pt_BR", "pt", "en_GB", "en_US")
    }
    assert found == {
        ("email", "es_MX"): "es_MX",
        ("email", "pt_BR"): "en_US",
        ("email", "pt"): "en_US",
        ("email", "en_GB"): "en_GB",
        ("email", "en_US"): "en_US",
        ("sms", "es_MX"): "en_US",
        ("sms", "pt_BR"): "pt_BR",
        ("sms", "pt"): "en_US",
        ("sms", "en_GB"): "en_GB",
        ("sms", "en_US"): "en_US",
    }
    copy._localised.cache_clear()


@pytest.mark.parametrize("term", ["minimum_spend", "at_most"])
@pytest.mark.parametrize("locale", ["", "es"])
@pytest.mark.parametrize(("template", "channel"), EVERY)
def test_a_term_that_an_offer_does_not_have_is_not_spoken_of(
    template: str, channel: str, locale: str, term: str
) -> None:
    words = copy.write(template, channel, VARIABLES | {term: ""}, locale)
    for text in (words.body, words.body_html or ""):
        assert VARIABLES[term] not in text
        assert ", ." not in text


def test_a_coupon_whose_terms_are_left_out_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is refused at the till had been promised something else."""
    (tmp_path / "short").mkdir()
    (tmp_path / "short" / "sms.txt").write_text(
        "{{ sender_name }}: {{ coupon_code }} {{ stop_word }}"
    )
    monkeypatch.setattr(copy, "TEMPLATES", tmp_path)
    copy._environment.cache_clear()
    try:
        with pytest.raises(copy.CopyError, match="to say minimum_spend where it gives a coupon"):
            copy.write("short", "sms", VARIABLES)
        assert copy.write("short", "sms", VARIABLES | {"minimum_spend": "", "at_most": ""}).parts
    finally:
        monkeypatch.undo()
        copy._environment.cache_clear()


def test_amounts_with_a_blank_that_does_not_break_keep_a_text_message_short() -> None:
    """One such blank has the whole text sent in 70 characters a part instead of 160."""
    words = copy.write("win_back", "sms", VARIABLES | {"minimum_spend": "25\u00a0€", "at_most": ""})
    assert sms.length(words.body).encoding == sms.GSM7
    assert "25 €" in words.body


@pytest.mark.parametrize("locale", ["", "es"])
@pytest.mark.parametrize(("template", "channel"), EVERY)
def test_the_words_of_text_messages_stay_in_the_short_alphabet(
    template: str, channel: str, locale: str
) -> None:
    if channel == "sms":
        words = copy.write(template, channel, VARIABLES, locale)
        assert sms.length(words.body).encoding == sms.GSM7
