"""A warehouse of the benches' own that holds every day of the demo shop, truth included.

The demo's warehouse ends on its business day; what a model said for that day is judged by the weeks after
it. Those are loaded here by the same extraction, cleaning and gates, into a database `bench` beside the
others, which is kept and used again until the code that fills it changes.
"""

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from include import contracts, warehouse
from include.launcher.servers import databases
from include.launcher.servers.postgresql import Server
from include.launcher.servers.state import State
from include.steps import gate
from include.warehouse import Connection

DATABASE = "bench"
FIRST_DAY, LAST_DAY = "2017-01-01", "2017-12-31"

#: What decides the content of `core`.
SOURCES = (
    "include/demo_shop/*.py",
    "include/demo_shop/*.sql",
    "include/sql/extract/complete_journey/*.sql",
    "include/sql/raw/*.yml",
    "include/sql/core/*",
    "include/steps/ingest.py",
)


@contextmanager
def whole_year() -> Iterator[None]:
    """Let `warehouse.connect()` reach the whole year for as long as the context lasts.

    The server must be up, as it is under `bin/regulars bench`.
    """
    state = State()
    admin_url = Server(state).admin_url()
    passwords = {role: state.secret(role) for role in databases.ROLES}
    names = {"warehouse": DATABASE, "shop": "shop"}
    urls = databases.addresses(admin_url, passwords, names)
    before = dict(os.environ)
    os.environ.update({f"AIRFLOW_CONN_{name.upper()}": url for name, url in urls.items()})
    try:
        with state.mutex(DATABASE):
            _fill(admin_url, urls["shop_owner"])
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _fill(admin_url: str, shop_url: str) -> None:
    from include.demo_shop.load import load
    from include.steps import ingest

    wanted = _edition()
    with databases.admin(admin_url) as conn:
        if _standing(conn) == wanted:
            return
        databases.run(conn, "DROP DATABASE IF EXISTS {} WITH (FORCE)", DATABASE)
        databases.make_database(conn, "warehouse", DATABASE)
    print(f"Loading {FIRST_DAY} to {LAST_DAY} for the benches, once ...", file=sys.stderr)
    load(shop_url)
    with warehouse.connect() as conn:
        contracts.migrate(conn)
    run = ingest.plan({"as_of": LAST_DAY, "since": FIRST_DAY, "run_id": "bench"})
    gate.gate(ingest.extract(run), rebuild=ingest.extract)
    gate.gate(ingest.build_core(run), rebuild=ingest.build_core)
    with warehouse.connect() as conn:
        for table in ("orders", "order_lines", "products", "customers", "events"):
            warehouse.execute(conn, f"ANALYZE core.{table}")
    with databases.admin(admin_url) as conn, conn.cursor() as cursor:
        cursor.execute(f"COMMENT ON DATABASE {DATABASE} IS %s", (wanted,))


def _edition() -> str:
    found = hashlib.sha256()
    for pattern in SOURCES:
        for path in sorted(warehouse.ROOT.glob(pattern)):
            found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()


def _standing(conn: Connection) -> str | None:
    with conn.cursor() as cursor:
        cursor.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s",
            (DATABASE,),
        )
        found = cursor.fetchone()
    return found[0] if found else None
