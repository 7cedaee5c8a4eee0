"""Addresses in their one form, and what is none."""

import pytest

from include.persons import addresses


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("+1 (212) 555-0100", None, "+12125550100"),
        ("0049 30 1234567", None, "+49301234567"),
        ("+44 (0)20 7946 0018", None, "+442079460018"),
        ("+4402079460018", None, "+442079460018"),
        ("+44 20 7946 0018", None, "+442079460018"),
        ("tel:+44-20-7946-0018", None, "+442079460018"),
        ("+49 (0) 30/12 34 56", None, "+4930123456"),
        ("+39 06 6982 1234", None, "+390669821234"),  # Italy's zero is part of the number
        ("020 7946 0018", "GB", "+442079460018"),
        ("00442079460018", "GB", "+442079460018"),
        ("01144 20 7946 0018", "US", "+442079460018"),
        ("0044 20 7946 0018", "US", "+442079460018"),
        ("\u200e+44\u00a020\u00a07946\u00a00018\u200b", None, "+442079460018"),
        ("＋４４ ２０ ７９４６ ００１８", None, "+442079460018"),
        ("+٤٤٢٠٧٩٤٦٠٠١٨", None, "+442079460018"),
        ("+44 20 7946‐0018", None, "+442079460018"),
        ("020 7946 0018", None, None),
        ("020 7946 0018", "US", None),
        ("555-0100", None, None),
        ("+0123456789", None, None),
        ("+999 123 456 789", None, None),
        ("+44 20 7946 0018 x12", None, None),
        ("+44 20 7946 0018, +44 20 7946 0019", None, None),
        ("+1 800 FLOWERS", None, None),
        ("+44 20", None, None),
        ("", "GB", None),
        ("\u200b", "GB", None),
        (None, "GB", None),
    ],
)
def test_telephones_in_one_form(text, region, expected):
    assert addresses.phone(text, region) == expected
    if expected:
        assert addresses.phone(expected, region) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ann.o-n+x@mail.example.com", "ann.o-n+x@mail.example.com"),
        (" Ann@Example.COM\u00a0", "ann@example.com"),
        ("ann@exam\u200bple.com", "ann@example.com"),
        ("\ufeffann@example.com", "ann@example.com"),
        ("\u202aann@example.com\u202c", "ann@example.com"),
        ("a\u00adnn@example.com", "ann@example.com"),
        ("ａｎｎ＠ｅｘａｍｐｌｅ．ｃｏｍ", "ann@example.com"),
        ("ann@example.com.", "ann@example.com"),
        ("jürgen@müller.example", "jürgen@xn--mller-kva.example"),
        ("ann@MÜLLER.example", "ann@xn--mller-kva.example"),
        ("ann@mu\u0308ller.example", "ann@xn--mller-kva.example"),
        ("ann@xn--mller-kva.example", "ann@xn--mller-kva.example"),
        ("ann@straße.example", "ann@xn--strae-oqa.example"),
        ("ann@例え。テスト", "ann@xn--r8jz45g.xn--zckzah"),
        ("ann@example..com", None),
        ("a@.x.example", None),
        (".ann@example.com", None),
        ("<a@example.com>", None),
        ("a@[x.y", None),
        ("a b@example.com", None),
        ("a\u00a0b@example.com", None),
        ("ann@exam\u00a0ple.com", None),
        ("a@example", None),
        ("a@@b.de", None),
        ("@c.de", None),
        ("ann@xn--\u2603.example", None),
        ("ann@-x.example", None),
        (f"{'a' * 250}@example.com", None),
        ("", None),
        (None, None),
    ],
)
def test_mail_in_one_form(text, expected):
    assert addresses.email(text) == expected
    if expected:
        assert addresses.email(expected) == expected


def test_tokens_keep_their_letters():
    assert addresses.normal("push", " AbC:1\u200b ") == "AbC:1"
    assert addresses.normal("push", "Ab C") is None


def test_one_address_has_one_hash_and_another_channel_or_key_another():
    secret = b"k" * 16
    one = addresses.hashed("email", "ann@example.com", secret)
    assert one == addresses.hashed("email", "ann@example.com", secret)
    others = {
        addresses.hashed("push", "ann@example.com", secret),
        addresses.hashed("email", "ann@example.con", secret),
        addresses.hashed("email", "ann@example.com", b"l" * 16),
    }
    assert len(others | {one}) == 4
