"""Lines whose price or quantity is far from what was usual in the shop by their day.

No limit is fixed: a wholesaler sells 10,000 pieces a line, a jeweller one for 10,000. Each line is compared
with the last lines of its product up to its day, in other orders, by median and median absolute deviation of
the logarithms; the first of a product with the shop's lines of four weeks. Only what was known by the line's
day counts, so a day that is built again finds the same. What is far is flagged and told first; what cannot be
true is set aside by the rules of `core.order_lines`. See docs/decisions/0017.
"""

from include import contracts, warehouse
from include.publication import Batch
from include.quality.results import Result
from include.warehouse import Connection

TABLE = "core.order_lines"

#: A factor of 20 in the price of a piece is far, one of 200 in the quantity, and so many spreads of its own
#: where a product is sold at all sorts of prices. As natural logarithms.
FAR_PRICE, FAR_PIECES, SPREADS = 3.0, 5.3, 4.0

#: Only lines that differ by factors of 4 and 30 from each of the last three orders are looked at closely.
NEAR_PRICE, NEAR_PIECES = 1.386, 3.4

#: So many of a product's last lines say what is usual; fewer than so many never say what cannot be true; and
#: fewer lines of the shop than so many say nothing of a new product.
LINES, LEAST_OF_PRODUCT, LEAST_OF_SHOP = 100, 20, 50

#: More flagged lines than this share are no outliers: what the columns mean has changed.
MOST_FLAGGED, LEAST_ROWS = 0.1, 50

FLAGS = ("outlier_price", "outlier_quantity")
ABSURD = ("absurd_price", "absurd_quantity")


def stage(conn: Connection, batch: Batch) -> None:
    """`absurd_sales`: absurd lines of other days, set aside; what returns them shares their fate."""
    warehouse.execute(
        conn,
        f"""
        CREATE UNLOGGED TABLE {batch.schema}.absurd_sales AS
        SELECT s.customer_id, s.product_id, s.quantity, s.sales, s.ordered_at
        FROM quarantine.rejected_rows AS q,
            jsonb_to_record(q.payload) AS s (
                customer_id uuid, product_id text, quantity numeric, sales numeric, ordered_at timestamptz
            )
        WHERE q.table_name = %(table)s AND q.reasons && %(absurd)s
            AND q.business_day NOT BETWEEN %(since)s AND %(as_of)s
        """,
        batch.params | {"table": TABLE, "absurd": list(ABSURD)},
    )


def flag(conn: Connection, batch: Batch) -> None:
    """Flag the staged order lines that are far from what was usual by their day."""
    staged = batch.table(contracts.load("core", "order_lines"))
    warehouse.execute(
        conn,
        f"CREATE TEMPORARY TABLE comparable ON COMMIT DROP AS {warehouse.sql('queries/unusual/comparable')}",
    )
    warehouse.execute(
        conn,
        "CREATE INDEX ON comparable (product_id, business_day, ordered_at); ANALYZE comparable",
    )
    warehouse.execute(
        conn,
        f"""
        UPDATE {staged} AS l SET flags = coalesce(l.flags, '{{}}') || f.flags
        FROM ({warehouse.sql("queries/unusual/lines")}) AS f
        WHERE l.ctid = f.row_at
        """,
        batch.params
        | {
            "far_price": FAR_PRICE,
            "far_pieces": FAR_PIECES,
            "spreads": SPREADS,
            "near_price": NEAR_PRICE,
            "near_pieces": NEAR_PIECES,
            "lines": LINES,
            "least_of_product": LEAST_OF_PRODUCT,
            "least_of_shop": LEAST_OF_SHOP,
        },
    )
    warehouse.execute(conn, "DROP TABLE comparable")
    warehouse.execute(
        conn,
        f"""
        INSERT INTO {batch.schema}.absurd_sales
        SELECT customer_id, product_id, quantity, sales, ordered_at FROM {staged}
        WHERE flags && %(absurd)s
        """,
        {"absurd": list(ABSURD)},
    )


def check(conn: Connection, batch: Batch) -> list[Result]:
    """What was flagged, told first; where it is a tenth of all lines, what the columns mean has changed."""
    staged = warehouse.qualified(batch.table(contracts.load("core", "order_lines"))).as_string(conn)
    rows, lines, orders, money = warehouse.rows(
        conn,
        f"""
        SELECT count(*), count(*) FILTER (WHERE odd), count(DISTINCT order_id) FILTER (WHERE odd),
            coalesce(sum(sales) FILTER (WHERE odd), 0)
        FROM (SELECT order_id, sales, flags && %(flags)s AS odd FROM {staged}) AS l
        """,
        {"flags": list(FLAGS)},
    )[0]
    quarantine = batch.table(contracts.load("quarantine", "rejected_rows"))
    absurd = int(
        warehouse.value(
            conn,
            f"SELECT count(*) FROM {quarantine} WHERE table_name = %(table)s AND reasons && %(absurd)s",
            {"table": TABLE, "absurd": list(ABSURD)},
        )
    )
    # What is set aside one by one shows together that a unit has changed.
    many = _many(lines + absurd, rows + absurd)
    again, apart = warehouse.rows(
        conn,
        f"""
        SELECT count(*), count(*) FILTER (WHERE abs(ln(s.sales / t.sales)) > %(far)s)
        FROM {staged} AS s JOIN {TABLE} AS t USING (order_id, line_number)
        WHERE s.sales > 0 AND t.sales > 0 AND s.quantity = t.quantity
        """,
        {"far": FAR_PRICE},
    )[0]
    changed = _many(apart, again)
    return [
        Result(
            TABLE, "as_usual(sales, quantity)", "critical" if many else "warning", lines + absurd == 0,
            str(lines + absurd), lines + absurd, rows + absurd,
            f"Expected prices and quantities of {TABLE} near what was usual up to then, found {lines} of "
            f"{rows} lines in {orders} orders far from it, {money:,.2f} together (flagged "
            f"{' or '.join(FLAGS)}), and {absurd} set aside as {' or '.join(ABSURD)}: "
            + ("their unit or currency has changed; mend the source."
               if many else "look at them first, they are published as they are."),
        ),
        Result(
            TABLE, "as_before(sales)", "critical" if changed else "warning", not changed,
            str(apart), apart, again,
            f"Expected the sales of {TABLE} near those that stand for the same lines, found {apart} of "
            f"{again} more than twentyfold apart: their unit or currency has changed; mend the source.",
        ),
    ]  # fmt: skip


def _many(lines: int, rows: int) -> bool:
    return rows >= LEAST_ROWS and lines > MOST_FLAGGED * rows
