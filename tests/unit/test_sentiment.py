"""The mood of texts: signs, scale, what has no words."""

import pytest

from include.features import sentiment

MOOD = sentiment.scorer()


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("Love it, always in our basket.", 1),
        ("The food here is GREAT!!! :)", 1),
        ("Not good at all.", -1),
        ("Worst shop I know, rotten fruit :(", -1),
        ("Picked up bread on the way home.", 0),
        ("Купил хлеб", 0),  # no word of the lexicon's language: neutral, not wrong
    ],
)
def test_the_sign_of_a_mood(text, sign):
    score = MOOD(text)
    assert score is not None
    assert -1 <= score <= 1
    assert (score >= sentiment.POSITIVE_FROM) - (score <= -sentiment.POSITIVE_FROM) == sign


@pytest.mark.parametrize("text", [None, "", " \t\n", "\u00a0"])
def test_no_words_have_no_mood(text):
    assert MOOD(text) is None


def test_a_very_long_text_is_judged_by_its_beginning():
    assert MOOD("good " * 400 + "bad " * 100_000) == MOOD("good " * 400)
