"""What the words of shops mean."""

import pytest

from include.contracts import words


@pytest.mark.parametrize(
    ("text", "channel"),
    [
        ("email", "email"), (" E-Mail ", "email"), ("E_MAIL", "email"), ("MAIL", "email"),
        ("e\u00admail", "email"), ("\u00a0email\u200b", "email"), ("ＥＭＡＩＬ", "email"),
        ("SMS", "sms"), ("text message", "sms"), ("Mobile", "sms"), ("App", "push"), ("web-push", "push"),
        ("ALL", "all"), ("*", "all"), ("any", "all"), ("pigeon", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_channels(text, channel):
    assert words.channel(text) == channel


@pytest.mark.parametrize(
    ("text", "purpose"),
    [
        ("marketing", "marketing"), ("MARKETING ", "marketing"), ("e-mail marketing", "marketing"),
        ("Publicité", "marketing"), ("all", "marketing"), ("Service", "service"), ("lottery", None),
        ("", None), (None, None),
    ],
)  # fmt: skip
def test_purposes(text, purpose):
    assert words.purpose(text) == purpose


def test_no_word_means_two_things():
    for table in (words.CHANNELS, words.PURPOSES):
        said = [word for meant in table.values() for word in meant]
        assert len(said) == len(set(said)) > 10
        assert [word for word in said if words.bare(word) != word] == []
