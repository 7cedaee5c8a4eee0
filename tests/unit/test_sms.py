"""Text messages are counted as providers count them."""

import pytest

from include.offers import sms


@pytest.mark.parametrize(
    ("text", "encoding", "units", "parts"),
    [
        ("", "GSM-7", 0, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("$3 off: ñandú? é, à!", "UCS-2", 20, 1),  # ú is not in the alphabet
        ("é" * 160, "GSM-7", 160, 1),
        ("€" * 80, "GSM-7", 160, 1),
        ("€" * 81, "GSM-7", 162, 2),
        # The 153rd septet cannot hold half a euro sign: it moves to the next part.
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3),
        ("ё" * 70, "UCS-2", 70, 1),
        ("ё" * 71, "UCS-2", 71, 2),
        ("ё" * 134, "UCS-2", 134, 2),
        ("ё" * 135, "UCS-2", 135, 3),
        ("😀" * 35, "UCS-2", 70, 1),
        ("😀" * 36, "UCS-2", 72, 2),
        # 67 units hold 33 of them; the 34th is not split.
        ("😀" * 67, "UCS-2", 134, 3),
        ("a" * 70 + "ë", "UCS-2", 71, 2),
    ],
)
def test_length(text: str, encoding: str, units: int, parts: int) -> None:
    assert sms.length(text) == sms.Length(encoding, units, parts)


def test_the_alphabet_has_its_characters() -> None:
    # The 128 of the default alphabet, less the escape to the extension table.
    assert len(sms.BASIC) == 127
    assert len(sms.EXTENSION) == 10
    assert not sms.BASIC & sms.EXTENSION
