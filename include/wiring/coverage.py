"""Which business days a dataset holds: a run for another day must not work out something from nothing."""

import psycopg2.errors

from include import warehouse
from include.errors import BadInput

#: Dataset -> the DAG that publishes it.
PRODUCERS = {"core": "regulars_ingest", "features": "regulars_features"}


def require(dataset: str, day: str) -> None:
    """See that a dataset was published for a day.

    Raises
    ------
    BadInput
        When it was not, with the days for which it was.
    """
    with warehouse.connect() as conn:
        try:
            held, first, last = warehouse.rows(
                conn,
                """
                SELECT coalesce(bool_or(partition = %(day)s), false), min(partition), max(partition)
                FROM ops.publications
                WHERE dataset = %(dataset)s
                """,
                {"dataset": dataset, "day": day},
            )[0]
        except psycopg2.errors.UndefinedTable:
            held, first, last = False, None, None
    if held:
        return
    found = f"days from {first} to {last}, without it" if first else "nothing published yet"
    raise BadInput(
        f"Expected {dataset} to hold the business day {day}, found {found}: run {PRODUCERS[dataset]} for "
        "that day first, or give another as_of."
    )
