"""The mood of short texts, from -1 to 1, by VADER's lexicon and rules.

Hutto, C.J. & Gilbert, E.E. (2014): VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social
Media Text. ICWSM-14. The score is its `compound`: the sum of the words' valences after the rules for
negation, intensity, capitals, punctuation and emoji, x / sqrt(x^2 + 15). English only: words of other
languages carry no valence, so a foreign text reads as neutral.

How well it does on texts that people have rated is printed by `bin/regulars bench sentiment`.
"""

from collections.abc import Callable

#: By the authors: a text at or above it is positive, at or below its negative negative.
POSITIVE_FROM = 0.05
#: Longer texts are judged by their beginning: valences add up without end, and rules look at neighbours.
LONGEST = 2_000


def scorer() -> Callable[[str | None], float | None]:
    """A function from a text, as people wrote it, to its mood; None where there are no words.

    Case, punctuation and emoji count, so texts must not be normalised before.
    """
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyzer = SentimentIntensityAnalyzer()

    def score(text: str | None) -> float | None:
        words = (text or "").strip()[:LONGEST]
        return float(analyzer.polarity_scores(words)["compound"]) if words else None

    return score
