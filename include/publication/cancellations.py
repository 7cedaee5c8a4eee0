"""What was bought and brought back within days was never bought: which return cancels which order lines.

An order for 77,184 pounds that is cancelled after 16 minutes makes nobody a good customer. A return cancels
lines of the same customer and product that were ordered up to `ingest.cancelled_within_days` before it: those
of the order that it names, and no others where that order stands; else one with just as many pieces left,
then the nearest before it; more pieces than one line has are taken from the next. What finds no line stays a
return, and so does what nobody's known customer brought back.

It is worked out in the transaction that publishes `core`, from everything that stands for whoever is
concerned, so it is the same in whatever order days are loaded. `core.order_lines`, `core.orders` and
`core.returns` say what is left; the views `core.known_*` take it off from the moment at which the return was
known. See docs/decisions/0019.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby

from include import policy, warehouse
from include.publication.batches import Batch
from include.warehouse import Connection


@dataclass
class Event:
    """Pieces of a product that a customer bought (a line) or brought back (`returned`), and what is left.

    `names_order`: the return is of an order that stands, and cancels no other.
    """

    customer: str
    product: str
    at: datetime
    day: date
    left: Decimal
    order: str | None
    line: int | None
    returned: str | None
    names_order: bool = False


def renew(conn: Connection, batch: Batch | None, persons: list[str]) -> None:
    """Work out what cancels what for the customers of a batch's days, and for persons whose rows have moved.

    The caller's transaction holds the lock of the publication of core, and its rows are written.
    """
    within = policy.load().ingest.cancelled_within_days
    window: dict[str, object] = {
        "since": batch.since if batch else None,
        "until": batch.as_of if batch else None,
        "persons": persons,
        "within": within,
    }
    warehouse.execute(conn, _CONCERNED, window)
    found = match(_events(conn, window), within)
    warehouse.execute(
        conn,
        "CREATE TEMPORARY TABLE cancels (return_id text, order_id text, line_number integer, "
        "quantity numeric, cancelled_at timestamptz) ON COMMIT DROP",
    )
    columns = ["return_id", "order_id", "line_number", "quantity", "cancelled_at"]
    warehouse.copy_rows(conn, found, "cancels", columns)
    for statement in (_REMOVE, _WRITE, _LINES, _ORDERS, _RETURNS):
        warehouse.execute(conn, statement, window)
    warehouse.execute(conn, "DROP TABLE concerned, cancels, touched")


def match(
    events: Iterable[Event], within: int
) -> Iterator[tuple[str, str, int, Decimal, datetime]]:
    """Return, order, line, pieces and when, for events in the order of customer, product and time."""
    for _, group in groupby(events, key=lambda event: (event.customer, event.product)):
        lines: list[Event] = []
        for event in group:
            if event.returned is None:
                lines.append(event)
                continue
            lines = [
                line for line in lines if line.left > 0 and (event.day - line.day).days <= within
            ]
            nearest = sorted(
                enumerate(lines), key=lambda place: (_unlike(event, place[1]), -place[0])
            )
            for _, line in nearest:
                if event.names_order and line.order != event.order:
                    continue
                pieces = min(event.left, line.left)
                if pieces > 0 and line.order is not None and line.line is not None:
                    event.left -= pieces
                    line.left -= pieces
                    yield event.returned, line.order, line.line, pieces, event.at


def _unlike(event: Event, line: Event) -> int:
    """0 for a line of the order that the return names, 1 for one with as many pieces left, 2 for another."""
    if event.order is not None and event.order == line.order:
        return 0
    return 1 if line.left == event.left else 2


def _events(conn: Connection, window: dict[str, object]) -> Iterator[Event]:
    return (Event(*row) for row in warehouse.rows(conn, _EVENTS, window))


#: Customers and products with a return and, in the days just written, a row of either kind; all of them where
#: nothing was worked out yet. And those of cancellations whose line or return is gone or somebody else's now.
_CONCERNED = """
CREATE TEMPORARY TABLE concerned ON COMMIT DROP AS
SELECT r.customer_id, r.product_id
FROM core.returns AS r
WHERE r.business_day BETWEEN %(since)s AND %(until)s
    OR r.customer_id = ANY (%(persons)s::uuid[])
    OR NOT EXISTS (SELECT 1 FROM core.cancellations)
UNION
SELECT r.customer_id, r.product_id
FROM core.order_lines AS l
JOIN core.returns AS r USING (customer_id, product_id)
WHERE l.business_day BETWEEN %(since)s AND %(until)s
UNION
SELECT o.customer_id, o.product_id
FROM core.cancellations AS c
LEFT JOIN core.order_lines AS l USING (order_id, line_number)
LEFT JOIN core.returns AS r USING (return_id)
CROSS JOIN LATERAL (
    VALUES (l.customer_id, l.product_id), (r.customer_id, r.product_id)
) AS o (customer_id, product_id)
WHERE (l.customer_id, l.product_id) IS DISTINCT FROM (r.customer_id, r.product_id)
    AND o.customer_id IS NOT NULL
"""

_EVENTS = """
WITH returned AS (
    SELECT r.* FROM core.returns AS r JOIN concerned USING (customer_id, product_id)
)
SELECT customer_id::text, product_id, at, day, pieces, order_id, line_number, return_id, names_order
FROM (
    SELECT l.customer_id, l.product_id, l.ordered_at AS at, l.business_day AS day, l.quantity AS pieces,
        l.order_id, l.line_number, NULL AS return_id, FALSE AS names_order
    FROM core.order_lines AS l
    WHERE l.quantity > 0 AND EXISTS (
        SELECT 1 FROM returned AS r
        WHERE r.customer_id = l.customer_id AND r.product_id = l.product_id AND r.returned_at >= l.ordered_at
            AND l.business_day BETWEEN r.business_day - %(within)s::integer AND r.business_day
    )
    UNION ALL
    SELECT r.customer_id, r.product_id, r.returned_at, r.business_day, r.quantity,
        r.order_id, NULL, r.return_id,
        EXISTS (SELECT 1 FROM core.orders AS o WHERE o.order_id = r.order_id)
    FROM returned AS r
) AS e
ORDER BY customer_id, product_id, at, return_id NULLS FIRST, order_id, line_number
"""

#: What no longer holds goes; `touched` keeps whose sums are to be made again.
_REMOVE = """
CREATE TEMPORARY TABLE touched ON COMMIT DROP AS SELECT return_id, order_id, line_number FROM cancels;
WITH gone AS (
    DELETE FROM core.cancellations AS c
    WHERE NOT EXISTS (
        SELECT 1 FROM cancels AS n
        WHERE (n.return_id, n.order_id, n.line_number) = (c.return_id, c.order_id, c.line_number)
    ) AND (
        EXISTS (
            SELECT 1 FROM core.returns AS r JOIN concerned USING (customer_id, product_id)
            WHERE r.return_id = c.return_id
        )
        OR EXISTS (
            SELECT 1 FROM core.order_lines AS l JOIN concerned USING (customer_id, product_id)
            WHERE (l.order_id, l.line_number) = (c.order_id, c.line_number)
        )
        OR NOT EXISTS (SELECT 1 FROM core.returns AS r WHERE r.return_id = c.return_id)
    )
    RETURNING c.return_id, c.order_id, c.line_number
)
INSERT INTO touched SELECT * FROM gone;
INSERT INTO touched
SELECT NULL, l.order_id, l.line_number FROM core.order_lines AS l
WHERE l.business_day BETWEEN %(since)s AND %(until)s
    AND (l.net_quantity, l.net_sales) IS DISTINCT FROM (l.quantity, l.sales);
INSERT INTO touched
SELECT r.return_id, NULL, NULL FROM core.returns AS r
WHERE r.business_day BETWEEN %(since)s AND %(until)s AND r.cancelled_quantity IS NOT NULL;
CREATE INDEX ON touched (order_id, line_number);
ANALYZE touched
"""

_WRITE = """
INSERT INTO core.cancellations AS c (return_id, order_id, line_number, quantity, cancelled_at)
SELECT return_id, order_id, line_number, sum(quantity), max(cancelled_at)
FROM cancels GROUP BY 1, 2, 3
ON CONFLICT (return_id, order_id, line_number) DO UPDATE
SET quantity = excluded.quantity, cancelled_at = excluded.cancelled_at
WHERE (c.quantity, c.cancelled_at) IS DISTINCT FROM (excluded.quantity, excluded.cancelled_at)
"""

_LINES = """
UPDATE core.order_lines AS l
SET cancelled_quantity = v.cancelled, cancelled_sales = l.sales - v.net_sales,
    net_quantity = l.quantity - coalesce(v.cancelled, 0), net_sales = coalesce(v.net_sales, l.sales)
FROM (
    SELECT o.order_id, o.line_number, c.cancelled,
        round(o.sales * (o.quantity - c.cancelled) / nullif(o.quantity, 0), 2) AS net_sales
    FROM (SELECT DISTINCT order_id, line_number FROM touched WHERE order_id IS NOT NULL) AS t
    JOIN core.order_lines AS o USING (order_id, line_number)
    LEFT JOIN (
        SELECT order_id, line_number, sum(quantity) AS cancelled FROM core.cancellations GROUP BY 1, 2
    ) AS c USING (order_id, line_number)
) AS v
WHERE (l.order_id, l.line_number) = (v.order_id, v.line_number)
    AND (l.cancelled_quantity, l.cancelled_sales, l.net_quantity, l.net_sales) IS DISTINCT FROM
        (v.cancelled, l.sales - v.net_sales, l.quantity - coalesce(v.cancelled, 0),
            coalesce(v.net_sales, l.sales))
"""

_ORDERS = """
UPDATE core.orders AS o
SET cancelled_sales = v.sales, cancelled_by = v.returns, cancelled_at = v.at
FROM (
    SELECT l.order_id, sum(l.cancelled_sales) AS sales, c.returns,
        CASE
            WHEN bool_and(l.net_quantity = 0 AND l.net_sales = 0)
                FILTER (WHERE l.quantity > 0 OR l.sales > 0) THEN c.at
        END AS at
    FROM core.order_lines AS l
    LEFT JOIN (
        SELECT order_id, max(cancelled_at) AS at, array_agg(DISTINCT return_id ORDER BY return_id) AS returns
        FROM core.cancellations GROUP BY order_id
    ) AS c USING (order_id)
    WHERE l.order_id IN (SELECT order_id FROM touched)
    GROUP BY l.order_id, c.returns, c.at
) AS v
WHERE o.order_id = v.order_id
    AND (o.cancelled_sales, o.cancelled_by, o.cancelled_at) IS DISTINCT FROM (v.sales, v.returns, v.at)
"""

_RETURNS = """
UPDATE core.returns AS r SET cancelled_quantity = v.cancelled
FROM (
    SELECT t.return_id, c.cancelled
    FROM (SELECT DISTINCT return_id FROM touched WHERE return_id IS NOT NULL) AS t
    LEFT JOIN (
        SELECT return_id, sum(quantity) AS cancelled FROM core.cancellations GROUP BY return_id
    ) AS c USING (return_id)
) AS v
WHERE r.return_id = v.return_id AND r.cancelled_quantity IS DISTINCT FROM v.cancelled
"""
