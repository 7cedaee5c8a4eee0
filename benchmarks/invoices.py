"""What a trial of a list of invoices says, beside what pandas reckons from the same files.

Counts and sums up to a day, and the net sales of each customer (what was bought, less what came back), of
rows that would be published and rows that would be set aside together, since which are set aside is a matter
of the rules. Both sides take an invoice that is delivered again from its last file; figures are of lines with
a customer.

Without a folder it makes a list of its own, with cancellations and lines of nobody.

    bin/regulars bench invoices [--folder FOLDER] [--until 2011-09-01]
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._lines import show
from include import warehouse
from include.launcher.servers import databases
from include.launcher.servers.postgresql import Server
from include.launcher.servers.scratch import scratch
from include.launcher.servers.state import State
from include.steps.trial import Asked, Trial, trial

PEER = "pandas"
HEADERS = {
    "InvoiceNo": "Invoice",
    "UnitPrice": "Price",
    "CustomerID": "Customer ID",
    "Customer ID": "Customer ID",
}


def made(folder: Path, orders: int = 20_000) -> None:
    """A list of invoices over two years, one in ten a cancellation, one line in five nobody's."""
    rng = np.random.default_rng(2009)
    lines = rng.integers(1, 12, orders)
    cancelled = rng.random(orders) < 0.1
    number = np.arange(500_000, 500_000 + orders)
    invoice = np.where(cancelled, "C", "") + pd.Series(number.astype(str))
    start = pd.Timestamp("2009-12-01 08:00") + pd.to_timedelta(
        np.sort(rng.integers(0, 730 * 1440, orders)), unit="min"
    )
    customer = np.where(rng.random(orders) < 0.2, np.nan, rng.integers(12_000, 16_000, orders))
    place = np.repeat(np.arange(orders), lines)
    sign = np.where(cancelled[place], -1, 1)
    pd.DataFrame(
        {
            "Invoice": np.asarray(invoice)[place],
            "StockCode": rng.integers(20_000, 24_000, len(place)).astype(str),
            "Description": "ARTICLE",
            "Quantity": sign * rng.integers(1, 30, len(place)),
            "InvoiceDate": start[place],
            "Price": rng.integers(10, 2000, len(place)) / 100,
            "Customer ID": customer[place],
            "Country": "United Kingdom",
        }
    ).to_parquet(folder / "list.parquet")


def reckoned(folder: Path, until: str | None) -> tuple[dict[str, float], pd.Series]:
    """Counts and sums by pandas, and net sales in cents by customer."""
    frames: list[pd.DataFrame] = []
    for path in sorted(folder.glob("*.parquet")) + sorted(folder.glob("*.csv")):
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        frames.append(frame.rename(columns=HEADERS).assign(file=len(frames)))
    found = pd.concat(frames, ignore_index=True)
    found["Invoice"] = found["Invoice"].astype(str)
    found = found[found["file"] == found.groupby("Invoice")["file"].transform("max")]
    stamps = pd.to_datetime(found["InvoiceDate"])
    if until:
        found = found[stamps < pd.Timestamp(until) + pd.Timedelta(days=1)]
    found = found[found["Customer ID"].notna()]
    # Whole numbers: prices have up to four decimals, and half a cent is rounded away from zero.
    parts = found["Quantity"].astype("int64") * (found["Price"] * 10_000).round().astype("int64")
    cents = parts.map(lambda part: (abs(part) + 50) // 100 * (1 if part >= 0 else -1))
    back = found["Invoice"].str.upper().str.startswith("C") | (found["Quantity"] < 0)
    number = found["Customer ID"].astype("int64").astype(str)
    counts = {
        "customers": number.nunique(),
        "orders": found["Invoice"][~back].nunique(),
        "order_lines": int((~back).sum()),
        "gross": cents[~back].sum() / 100,
        "returns": int(back.sum()),
        "refunded": cents[back].abs().sum() / 100,
    }
    return counts, cents.mask(back, -cents.abs()).groupby(number).sum()


def tried(found: Trial) -> tuple[dict[str, float], pd.Series]:
    """The same of a trial."""
    schema = found.core.schema
    rows = f"""
        SELECT customer_id, sales AS amount, 'order_lines' AS kind FROM {schema}.order_lines
        UNION ALL SELECT customer_id, -refund, 'returns' FROM {schema}.returns
        UNION ALL SELECT (payload->>'customer_id')::uuid,
            coalesce((payload->>'sales')::numeric, -(payload->>'refund')::numeric),
            split_part(table_name, '.', 2)
        FROM {schema}.rejected_rows WHERE table_name IN ('core.order_lines', 'core.returns')
    """
    rows = f"SELECT * FROM ({rows}) AS any_line WHERE customer_id IS NOT NULL"
    with warehouse.connect() as conn:
        net = warehouse.rows(
            conn,
            f"SELECT i.external_id, (100 * sum(r.amount))::bigint FROM ({rows}) AS r "
            f"JOIN {schema}.identities AS i USING (customer_id) GROUP BY 1",
        )
        sums = {
            kind: (count, float(amount))
            for kind, count, amount in warehouse.rows(
                conn, f"SELECT kind, count(*), abs(sum(amount)) FROM ({rows}) AS r GROUP BY 1"
            )
        }
        orders = warehouse.value(
            conn,
            f"""
            SELECT (SELECT count(*) FROM {schema}.orders WHERE customer_id IS NOT NULL) + (
                SELECT count(*) FROM {schema}.rejected_rows
                WHERE table_name = 'core.orders' AND payload->>'customer_id' IS NOT NULL)
            """,
        )
    read = {account.table: account.read for account in found.accounts}
    counts = {
        "customers": read["core.customers"],
        "orders": orders,
        "order_lines": sums["order_lines"][0],
        "gross": sums["order_lines"][1],
        "returns": sums["returns"][0],
        "refunded": sums["returns"][1],
    }
    return counts, pd.Series(dict(net), dtype="int64")


def main() -> None:
    """Try the list, reckon it, and print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--until")
    options = parser.parse_args()
    state = State()
    owner = state.secret(databases.OWNERS["warehouse"])
    with (
        tempfile.TemporaryDirectory() as made_here,
        scratch(state, Server(state).admin_url(), owner) as address,
    ):
        folder = options.folder or Path(made_here)
        if options.folder is None:
            made(folder)
        os.environ |= {"AIRFLOW_CONN_WAREHOUSE": address, "REGULARS_FILE_DROP": str(folder)}
        with trial(Asked("file_drop", whole=True, until=options.until)) as found:
            report(tried(found), reckoned(folder, options.until), options)


def report(
    ours: tuple[dict[str, float], pd.Series],
    peer: tuple[dict[str, float], pd.Series],
    options: Any,
) -> None:
    """A line a figure."""
    setting = (
        f"{options.folder.name if options.folder else 'made'}, until {options.until or 'the end'}"
    )
    lines = int(peer[0]["order_lines"] + peer[0]["returns"])
    for metric, value in ours[0].items():
        unit = "currency" if metric in ("gross", "refunded") else "rows"
        show("invoices", metric, setting, value, peer[0][metric], PEER, unit=unit, n=lines)
    both = ours[1].to_frame("ours").join(peer[1].to_frame("peer"), how="outer").fillna(0)
    differ = int((both["ours"] != both["peer"]).sum())
    show(
        "invoices", "customers_whose_net_sales_differ", setting, differ, None, PEER, unit="customers",
        n=len(both),
    )  # fmt: skip


if __name__ == "__main__":
    main()
