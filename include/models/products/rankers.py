"""A logistic regression over named features, kept as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from include.features.arrays import Bools, Floats, Reals
from include.models.products.snapshot import Candidates


@dataclass(frozen=True)
class LinearRanker:
    """A ridge logistic regression over named features, as plain arrays."""

    names: tuple[str, ...]
    centre: Reals
    scale: Reals
    weights: Reals
    intercept: float

    @classmethod
    def fit(cls, candidates: Candidates, bought: Bools, ridge: float) -> LinearRanker | None:
        """Learn P(bought in the next four weeks); None where the labels hold one class only."""
        from sklearn.linear_model import LogisticRegression

        if bought.all() or not bought.any():
            return None
        x = candidates.matrix()
        centre, scale = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
        scale[scale == 0] = 1.0
        # In place and in single precision: these are the largest arrays of a training.
        x -= centre.astype(np.float32)
        x /= scale.astype(np.float32)
        model = LogisticRegression(C=1.0 / ridge, max_iter=500)
        model.fit(x, bought)
        weights = np.asarray(model.coef_[0], dtype=np.float64)
        return cls(tuple(candidates.features), centre, scale, weights, float(model.intercept_[0]))

    def probability(self, candidates: Candidates) -> Floats:
        """P(bought in the next four weeks) of each candidate."""
        if tuple(candidates.features) != self.names:
            raise ValueError(
                f"Expected the features {', '.join(self.names)}, found "
                f"{', '.join(candidates.features)}: the model was stored by another version, so "
                "train it again."
            )
        if len(candidates.item) == 0:
            return np.empty(0)
        slope = self.weights / self.scale
        z = candidates.matrix() @ slope + (self.intercept - self.centre @ slope)
        return 1.0 / (1.0 + np.exp(-z))


def weights(ranker: LinearRanker | None) -> dict[str, float]:
    """A ranker's weights by feature, on standardised features, for people to read."""
    if ranker is None:
        return {}
    return {name: round(float(w), 4) for name, w in zip(ranker.names, ranker.weights, strict=True)}
