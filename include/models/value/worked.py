"""The worked case of customer value: five features, one label, a probability and a strategy for each.

Four models are compared on customers they were not fitted on: logistic regression, decision tree, random
forest, and the share of high-value customers as the rule without a model. The probabilities printed are the
logistic regression's, P = 1 / (1 + exp(-(b0 + b1 x1 + ... + b5 x5))), each from a fit without that customer.
"""

import csv
import sys
from pathlib import Path
from typing import IO, Any

import numpy as np
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from include.features.arrays import Floats
from include.models import evaluate

FEATURES = ("age", "income", "purchase_frequency", "followed_products", "reviews")
HEADER = ("customer", *FEATURES, "high_value")

STRATEGIES = {
    "high": "Exclusive offers, tailored recommendations, priority service.",
    "low": "Popular products and a modest coupon; no discount on what is bought anyway.",
}

#: Who is called high: more likely so than not.
LINE = 0.5

FOLDS = 5
SEED = 20170101

#: Probabilities are kept this far inside (0, 1), where rounding would reach the ends.
_EDGE = 1e-6


@threadpool_limits.wrap(limits=1)
def run_case(path: str | Path, out: IO[str], err: IO[str] | None = None) -> None:
    """From customers as CSV to `customer,probability,side,strategy` as CSV, in the file's order.

    Customers without a label are predicted by the fit on all labelled ones. The six coefficients, on
    standardised features, and the comparison of the models go to `err` (standard error).

    Raises
    ------
    ValueError
        When the header differs, a value is no number, or the labels leave nothing to learn.
    """
    customers, rows, labels = _read(path)
    known = ~np.isnan(labels)
    _check(labels[known], path)
    models = _models()
    judged = {name: _unseen(model, rows[known], labels[known]) for name, model in models.items()}
    fitted = clone(models["logistic_regression"]).fit(rows[known], labels[known])
    probability = np.full(len(rows), np.nan)
    probability[known] = judged["logistic_regression"]
    if not known.all():
        probability[~known] = fitted.predict_proba(rows[~known])[:, 1]
    _report(fitted, judged, labels[known], err or sys.stderr)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["customer", "probability", "side", "strategy"])
    for customer, p in zip(customers, np.clip(probability, _EDGE, 1 - _EDGE), strict=True):
        side = "high" if p >= LINE else "low"
        writer.writerow([customer, f"{p:.6f}", side, STRATEGIES[side]])


def _models() -> dict[str, Any]:
    return {
        "logistic_regression": make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True),
            StandardScaler(),
            LogisticRegression(max_iter=5000),
        ),
        "decision_tree": make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True),
            DecisionTreeClassifier(max_depth=3, min_samples_leaf=5, random_state=SEED),
        ),
        "random_forest": make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True),
            RandomForestClassifier(n_estimators=200, min_samples_leaf=3, random_state=SEED),
        ),
        "no_model": DummyClassifier(strategy="prior"),
    }


def _unseen(model: Any, rows: Floats, labels: Floats) -> Floats:
    """P(high) of each customer by a fit without him, standardised by the others' mean and deviation."""
    fewest = int(min(labels.sum(), len(labels) - labels.sum()))
    folds = StratifiedKFold(min(FOLDS, fewest), shuffle=True, random_state=SEED)
    found = np.zeros(len(labels))
    for seen, unseen in folds.split(rows, labels):
        found[unseen] = clone(model).fit(rows[seen], labels[seen]).predict_proba(rows[unseen])[:, 1]
    return found


def _report(fitted: Any, judged: dict[str, Floats], labels: Floats, err: IO[str]) -> None:
    final = fitted[-1]
    print("coefficient,value", file=err)
    print(f"intercept,{final.intercept_[0]:.6f}", file=err)
    for name, value in zip(FEATURES, final.coef_[0], strict=True):
        print(f"{name},{value:.6f}", file=err)
    print("\nmodel,roc_auc,accuracy,brier  (each customer by a fit without him)", file=err)
    for name, p in judged.items():
        right = float(np.mean((p >= LINE) == (labels == 1)))
        print(
            f"{name},{evaluate.roc_auc(labels, p):.4f},{right:.4f},{evaluate.brier(labels, p):.4f}",
            file=err,
        )


def _read(path: str | Path) -> tuple[list[str], Floats, Floats]:
    with open(path, newline="", encoding="utf-8-sig") as source:
        reader = csv.DictReader(source)
        found = [name.strip() for name in reader.fieldnames or []]
        missing = [name for name in HEADER if name not in found]
        if missing:
            raise ValueError(
                f"Expected the header {','.join(HEADER)} in {path}, found {','.join(found) or 'none'}: "
                f"add {', '.join(missing)}."
            )
        reader.fieldnames = found
        lines = list(reader)
    customers = [(line["customer"] or "").strip() for line in lines]
    rows = np.array(
        [
            [_number(line[name], name, at, path) for name in FEATURES]
            for at, line in _numbered(lines)
        ]
    ).reshape(len(lines), len(FEATURES))
    labels = np.array([_label(line["high_value"], at, path) for at, line in _numbered(lines)])
    return customers, rows, labels


def _numbered(lines: list[dict[str, str]]) -> list[tuple[int, dict[str, str]]]:
    return list(enumerate(lines, start=2))


def _number(text: str | None, name: str, line: int, path: str | Path) -> float:
    """A number; NaN where the cell is empty, which becomes the median of the customers learnt from."""
    try:
        value = float(text) if text and text.strip() else float("nan")
    except ValueError:
        value = float("inf")
    if np.isinf(value):
        raise ValueError(
            f"Expected a number as {name} in line {line} of {path}, found '{text}': correct it or leave it "
            "empty."
        )
    return value


def _label(text: str | None, line: int, path: str | Path) -> float:
    value = _number(text, "high_value", line, path)
    if value not in (0.0, 1.0) and not np.isnan(value):
        raise ValueError(
            f"Expected 1 or 0 as high_value in line {line} of {path}, found '{text}': correct it or leave it "
            "empty."
        )
    return value


def _check(labels: Floats, path: str | Path) -> None:
    high, low = int((labels == 1).sum()), int((labels == 0).sum())
    if min(high, low) < 2:
        raise ValueError(
            f"Expected at least 2 customers of high value and 2 of low in {path}, found {high} and {low}: a "
            "model needs both."
        )
