"""What the checks of a batch found, and where it is kept: counts and shares, never values of rows."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from include import warehouse
from include.publication import Batch
from include.warehouse import Connection

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """One check of one staged table."""

    table_name: str
    check_name: str
    severity: str
    passed: bool
    observed: str | None
    unexpected_count: int | None
    element_count: int | None
    message: str


def store(conn: Connection, batch: Batch, fence: int, results: Sequence[Result]) -> None:
    """Keep the results of one audit in ops.quality_results."""
    warehouse.execute(
        conn,
        """
        INSERT INTO ops.quality_results (token, table_name, check_name, dataset, as_of, run_id,
            severity, passed, observed, unexpected_count, element_count, message, checked_at)
        SELECT %(fence)s, r.table_name, r.check_name, %(dataset)s, %(as_of)s, %(run_id)s,
            r.severity, r.passed, r.observed, r.unexpected_count, r.element_count, r.message,
            clock_timestamp()
        FROM jsonb_to_recordset(%(results)s::jsonb) AS r (table_name text, check_name text, severity text,
            passed boolean, observed text, unexpected_count bigint, element_count bigint, message text)
        ON CONFLICT (token, table_name, check_name) DO NOTHING
        """,
        batch.params
        | {
            "fence": fence,
            "results": json.dumps([vars(result) for result in results], default=int),
        },
    )
    for result in results:
        if not result.passed:
            log.log(
                logging.ERROR if result.severity == "critical" else logging.WARNING, result.message
            )
