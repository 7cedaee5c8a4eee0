"""Frames arrive in tables as they are, by either way of writing them."""

import uuid

import numpy as np
import pandas as pd
import pytest

TEXTS = ["plain", "", "\\n", 'a "quoted", one', "two\nlines", "tab\t;", "Zoë 😀", None, "NULL", "'"]


@pytest.mark.parametrize("with_ids", [False, True])
def test_what_is_copied_is_what_was_there(warehouse, with_ids):
    from include.warehouse import connect, copy_frame, execute, rows

    frame = pd.DataFrame(
        {
            "words": pd.Series(TEXTS, dtype="object" if with_ids else "str"),
            "amount": [0.1, np.nan, 1e-7, 1e15, -2.5, 3.0, 0.0, 1 / 3, 7.0, 8.0],
            "number": pd.array([*range(9), None], dtype="Int64"),
            "truth": pd.array([True, False, None] * 3 + [True], dtype="boolean"),
            "kind": pd.Categorical(["a", None] * 5),
        }
    )
    if with_ids:
        frame["id"] = pd.Series([uuid.UUID(int=n) for n in range(len(frame))], dtype="object")
    with connect() as conn:
        execute(
            conn,
            "CREATE TEMPORARY TABLE given (words text, amount float8, number integer, truth boolean, "
            "kind text, id uuid)",
        )
        assert copy_frame(conn, frame, "pg_temp.given") == len(frame)
        found = rows(conn, "SELECT words, amount, number, truth, kind FROM given")
    assert [row[0] for row in found] == TEXTS
    for name, place in (("amount", 1), ("number", 2), ("truth", 3), ("kind", 4)):
        expected = [None if pd.isna(value) else value for value in frame[name]]
        assert [row[place] for row in found] == expected
