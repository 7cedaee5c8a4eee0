"""Faults planted in a wholesaler's files, and what the checks of order lines find of them.

Every third is a price a hundredfold, a price a hundredth, or the product's number in the column of the
quantity. The files are a list of invoices as `include/sql/extract/file_drop` maps it; the faults are drawn
from its sales to a customer. Ingestion runs as it does every day, in a warehouse of its own. Two lines:

* planted_found: the share of the faults that were flagged or set aside; to be at least 0.95;
* false_flags: the share of the other lines that were; to be at most 0.01. `set_aside_money` beside it is the
  share of their gross that was set aside; to be at most 0.002.
"""

import os
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks._lines import show
from benchmarks.decide import own_warehouse
from include import policy, warehouse

KINDS = ("price_times_100", "price_by_100", "number_as_quantity")


def measure(folder: Path, faults: int, seed: int = 1) -> None:
    """Plant, load and print."""
    planted = _plant(_read(folder), faults, seed)
    as_of = planted["stamp"].max().date().isoformat()
    with tempfile.TemporaryDirectory(prefix="regulars-planted-") as name:
        _write(planted, Path(name))
        lines = _load(Path(name), planted["stamp"].min().date(), as_of)
    kinds = {
        (str(row.invoice), row.line): row.fault
        for row in planted[planted["fault"] != ""].itertuples()
    }
    lines["fault"] = [
        kinds.get(key, "") for key in zip(lines["order_id"], lines["line_number"], strict=True)
    ]
    faulty, others = lines[lines["fault"] != ""], lines[lines["fault"] == ""]
    setting = f"planted,faults={faults}"
    by_kind = {
        kind: round(found, 4) for kind, found in faulty.groupby("fault")["found"].mean().items()
    }
    show(
        "files", "planted_found", setting, faulty["found"].sum() / faults, None, "none", unit="share",
        n=faults, **by_kind,
    )  # fmt: skip
    aside = others.loc[others["set_aside"], "sales"].sum() / others["sales"].sum()
    show(
        "files", "false_flags", setting, others["found"].mean(), None, "none", unit="share",
        n=len(others), set_aside_money=round(float(aside), 6),
    )  # fmt: skip


def _read(folder: Path) -> Any:
    """The lines of the list in the order in which they are read, as texts and numbers."""
    import pandas as pd

    parts = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() == ".parquet":
            part = pd.read_parquet(path)
        elif path.suffix.lower() == ".csv":
            part = pd.read_csv(path, dtype=str)
        else:
            continue
        part.columns = [name.replace(" ", "").lower() for name in part.columns]
        parts.append(
            part.rename(columns={"invoiceno": "invoice", "unitprice": "price"}).assign(
                file=path.name
            )
        )
    frame = pd.concat(parts, ignore_index=True)
    # An invoice that is delivered again replaces what came before.
    last = frame.groupby("invoice")["file"].transform("last")
    frame = frame[frame["file"] == last].copy()
    for name in ("quantity", "price"):
        frame[name] = pd.to_numeric(frame[name], errors="coerce").astype(float)
    frame["stamp"] = pd.to_datetime(frame["invoicedate"], errors="coerce")
    return frame.reset_index(drop=True)


def _plant(frame: Any, faults: int, seed: int) -> Any:
    """The same lines with faults, and beside each the kind of its fault and its place in the order."""
    import pandas as pd

    planted = frame.copy()
    number = pd.to_numeric(
        planted["stockcode"].astype(str).str.replace(r"\D", "", regex=True), errors="coerce"
    )
    sold = (
        planted["customerid"].notna()
        & ~planted["invoice"].astype(str).str.upper().str.startswith("C")
        & (planted["quantity"] >= 0)
    )
    planted["line"] = 0
    planted.loc[sold, "line"] = planted[sold].groupby("invoice").cumcount() + 1
    fit = sold & (planted["quantity"] > 0) & (planted["price"] > 0) & (number >= 1000)
    chosen = np.random.default_rng(seed).choice(planted.index[fit], size=faults, replace=False)
    planted["fault"] = ""
    planted.loc[chosen, "fault"] = [KINDS[place % len(KINDS)] for place in range(faults)]
    for kind, name, becomes in (
        (KINDS[0], "price", planted["price"] * 100),
        (KINDS[1], "price", planted["price"] / 100),
        (KINDS[2], "quantity", number),
    ):
        of = planted["fault"] == kind
        planted.loc[of, name] = becomes[of]
    return planted


def _write(frame: Any, folder: Path) -> None:
    import pandas as pd

    texts = {
        "InvoiceNo": frame["invoice"],
        "StockCode": frame["stockcode"],
        "Description": frame["description"],
        "Quantity": frame["quantity"],
        "InvoiceDate": frame["stamp"].dt.strftime("%Y-%m-%d %H:%M:%S"),
        "UnitPrice": frame["price"].round(6),
        "CustomerID": frame["customerid"],
        "Country": frame["country"],
    }
    pd.DataFrame(texts).to_csv(folder / "invoices.csv", index=False)


def _load(folder: Path, first: date, as_of: str) -> Any:
    """Every order line: whether it was flagged, whether it was set aside, and its amount."""
    from include.steps import gate, ingest

    with own_warehouse():  # which puts the environment back
        os.environ |= {
            "REGULARS_POLICY": str(_policy(first, folder)), "REGULARS_FILE_DROP": str(folder)
        }  # fmt: skip
        plan = ingest.plan({"as_of": as_of, "since": first.isoformat(), "run_id": "planted"})
        gate.gate(ingest.extract(plan), rebuild=ingest.extract)
        gate.gate(ingest.build_core(plan), rebuild=ingest.build_core)
        with warehouse.connect() as conn:
            return warehouse.frame(
                conn,
                """
                SELECT order_id, line_number, sales, false AS set_aside,
                    flags && ARRAY['outlier_price', 'outlier_quantity', 'zero_sales', 'zero_quantity']
                        AS found
                FROM core.order_lines
                UNION ALL
                SELECT payload ->> 'order_id', (payload ->> 'line_number')::integer,
                    coalesce((payload ->> 'sales')::numeric, 0), true, true
                FROM quarantine.rejected_rows WHERE table_name = 'core.order_lines'
                """,
            )


def _policy(first: date, folder: Path) -> Path:
    """The shipped policy for such a list: its sources, its first day."""
    from include.sources import file_mapping

    rules = yaml.safe_load(policy.DEFAULT_PATH.read_text(encoding="utf-8"))
    rules["shop"] |= {
        "source": "file_drop", "timezone": "Europe/London", "currency": "GBP", "opened_on": first,
        "clock": None,
    }  # fmt: skip
    rules["models"]["anchor_start"] = first
    mapped = file_mapping.load("file_drop").tables
    rules["ingest"]["sources"] = {name: name in mapped for name in rules["ingest"]["sources"]}
    path = folder / "policy.yml"
    path.write_text(yaml.safe_dump(rules, sort_keys=False), encoding="utf-8")
    return path
