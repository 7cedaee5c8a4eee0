"""Folds of customers."""

import pandas as pd

from include.models import blend


def test_a_customer_is_in_one_fold_whatever_his_key_is():
    first = pd.Series(["a", "b", "c", "d", "a", "c", "e"])
    renamed = first.map({"a": "z", "b": "y", "c": "x", "d": "w", "e": "v"})
    found = blend.folds(first, 3)
    assert list(found) == [0, 1, 2, 0, 0, 2, 1]
    assert list(blend.folds(renamed, 3)) == list(found)
