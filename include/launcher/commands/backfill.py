"""`bin/regulars backfill`: run the chain for business days, as the form of the UI does."""

from include import as_of
from include.errors import BadInput
from include.launcher.commands import chain
from include.launcher.servers.airflow import standing
from include.launcher.servers.state import State

#: What runs beside the chain for each day.
MEASURE = "regulars_measure"


def run(first: str, last: str | None, since: str | None) -> int:
    """Start the backfill and say where to follow it; the exit code."""
    begin, end = as_of.parse(first, "FIRST"), as_of.parse(last or first, "LAST")
    if end < begin:
        raise BadInput(f"Expected the last day on or after the first ({begin}), found {end}.")
    conf = {"since": as_of.parse(since, "--since").isoformat()} if since else {}
    api = standing(State())
    try:
        chain.await_dags(api, (*chain.CHAIN, MEASURE, chain.DELIVER))
        # A paused DAG would leave its runs queued.
        api.unpause((*chain.CHAIN, MEASURE, chain.DELIVER))
        api.backfill(
            chain.CHAIN[0],
            begin.isoformat(),
            end.isoformat(),
            conf,
            reprocess_behavior="completed",
        )
    finally:
        api.close()
    days = f"{begin}" if begin == end else f"each day from {begin} to {end}"
    print(
        f"Queued {chain.CHAIN[0]} for {days}; the other DAGs follow it. Watch "
        f"{api.url}/dags/{chain.CHAIN[0]}/runs, or *Today*.\n"
        "What is decided leaves by the shop's clock: `bin/regulars clock` shows and moves it."
    )
    return 0
