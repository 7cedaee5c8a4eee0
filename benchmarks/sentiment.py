"""How well the mood of texts is judged, on texts that people have rated.

2,000 texts drawn with a seed from the ratings published with VADER (Hutto and Gilbert 2014): tweets, and
sentences of Amazon reviews, each rated by twenty people from -4 to 4 (benchmarks/data, MIT licence). The
same authors made the lexicon, from ratings of single words; the rules were thought up on other tweets.

The peer is the sum of the same lexicon's valences without any rule. A text is called positive or negative
by the rating where people's mean is beyond half a point, and by the score where it is beyond 0.05 (the
authors' line); the peer's sums are judged by their sign.

    bin/regulars bench sentiment
"""

import csv
import re
from pathlib import Path

import numpy as np

from benchmarks._lines import show
from include.features import sentiment

DATA = Path(__file__).resolve().parent / "data" / "sentiment.tsv"
PEER_NAME = "sum of the lexicon's valences, no rules"
RATED_FROM = 0.5


def labelled() -> dict[str, list[tuple[float, str]]]:
    """(mean rating from -4 to 4, text) by kind of text."""
    found: dict[str, list[tuple[float, str]]] = {}
    with DATA.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            found.setdefault(row["kind"], []).append((float(row["rating"]), row["text"]))
    return found


def summed(texts: list[str]) -> list[float]:
    """The peer's score of each text."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    valence = SentimentIntensityAnalyzer().lexicon
    return [
        sum(valence.get(word, 0.0) for word in re.findall(r"[a-z']+|\S+", text.lower()))
        for text in texts
    ]


def classes(values: list[float], line: float) -> np.ndarray:
    """-1, 0 or 1 by whether each value is beyond the line."""
    numbers = np.asarray(values)
    return np.where(numbers >= line, 1, np.where(numbers <= -line, -1, 0))


def main() -> None:
    """Print correlation and accuracy for each kind of text."""
    mood = sentiment.scorer()
    for kind, rows in labelled().items():
        ratings, texts = [rating for rating, _ in rows], [text for _, text in rows]
        ours, peer = [mood(text) or 0.0 for text in texts], summed(texts)
        show(
            "sentiment", "pearson_r", kind,
            float(np.corrcoef(ratings, ours)[0, 1]), float(np.corrcoef(ratings, peer)[0, 1]),
            PEER_NAME, unit="correlation", n=len(rows),
        )  # fmt: skip
        truth = classes(ratings, RATED_FROM)
        right = classes(ours, sentiment.POSITIVE_FROM) == truth
        peer_right = classes(peer, 1e-9) == truth
        show(
            "sentiment", "accuracy", kind, float(right.mean()), float(peer_right.mean()),
            PEER_NAME, unit="share of three classes", n=len(rows),
        )  # fmt: skip


if __name__ == "__main__":
    main()
