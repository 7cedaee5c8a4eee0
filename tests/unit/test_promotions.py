"""The weekly mailers of the demo shop, added up from rows of product, store and week."""

from datetime import date

import pyarrow as pa

from include.demo_shop import mailings

ROWS = [
    # week, product, store, mailer
    (1, 7, 1, "A"), (1, 7, 2, "A"), (1, 7, 3, "D"), (1, 8, 1, "0"),
    (2, 7, 1, "D"), (2, 7, 2, "D"), (2, 7, 4, "0"), (30, 9, 4, "H"),
]  # fmt: skip


def batches(size: int) -> list[pa.RecordBatch]:
    week, product, store, mailer = map(list, zip(*ROWS, strict=True))
    table = pa.table(
        {
            "product_id": product,
            "store_id": store,
            "display_location": ["9"] * len(ROWS),
            "mailer_location": mailer,
            "week": week,
        }
    )
    return table.to_batches(max_chunksize=size)


def test_a_week_is_one_row_with_its_main_page_and_share_of_stores() -> None:
    found = mailings.promotions(batches(100)).to_pylist()
    assert [(row["product_number"], row["starts_on"], row["mailer_location"], row["stores_in_mailer"])
            for row in found] == [
        ("7", date(2016, 12, 26), "A", 0.75),
        ("7", date(2017, 1, 2), "D", 0.5),
        ("9", date(2017, 7, 17), "H", 0.25),
    ]  # fmt: skip


def test_where_a_batch_ends_changes_nothing() -> None:
    whole = mailings.promotions(batches(100))
    for size in (1, 2, 3, 5):
        assert mailings.promotions(batches(size)).equals(whole)


def test_a_mailer_is_known_eight_weeks_before_its_week() -> None:
    last = mailings.promotions(batches(100)).to_pylist()[-1]
    assert last["updated_at"].date() == date(2017, 5, 22)
    assert (last["starts_on"] - last["updated_at"].date()).days == 56
