"""The two locks of a dataset, by which batches take turns.

Their names are made here and nowhere else: two that differ in a letter would keep nobody out. Each is held
until the transaction of the connection ends.
"""

from include import warehouse
from include.warehouse import Connection


def lock_opening(conn: Connection, dataset: str) -> None:
    """Let nobody else open a batch of the dataset: tokens then rise as the snapshots do that they read."""
    _lock(conn, f"open {dataset}")


def lock_publishing(conn: Connection, dataset: str) -> None:
    """Let nobody else publish the dataset."""
    _lock(conn, f"publish {dataset}")


def _lock(conn: Connection, name: str) -> None:
    warehouse.execute(conn, "SELECT pg_advisory_xact_lock(hashtext(%(name)s))", {"name": name})
