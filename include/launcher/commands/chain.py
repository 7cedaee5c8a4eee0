"""Run the chain for one business day through Airflow's scheduler, and follow it to its end."""

import time
from collections.abc import Callable

from include.errors import RegularsError
from include.launcher.screen import Screen
from include.launcher.servers.api import (
    ENDED,
    Api,
    Run,
    Task,
)

#: The DAGs that wake one another, in order.
CHAIN = (
    "regulars_ingest",
    "regulars_features",
    "regulars_models",
    "regulars_score",
    "regulars_stock",
    "regulars_activate",
)
#: Sends what was decided; it runs on a clock of its own.
DELIVER = "regulars_deliver"

POLL_SECONDS = 1.0
#: How long Airflow may take to read the DAG files, and a DAG to be woken by the one before it.
PATIENCE_SECONDS = 120.0
LOG_LINES = 25


class ChainFailed(RegularsError):
    """A task of the chain failed; the message holds the end of its log."""


def await_dags(api: Api, names: tuple[str, ...]) -> None:
    """Wait until Airflow has read the DAGs.

    Raises
    ------
    RegularsError
        When one is absent after a while, with the errors of the files.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    while missing := sorted(set(names) - api.dags()):
        errors = api.import_errors()
        if errors or time.monotonic() > end:
            why = "".join(f"\n{file}: {trace.strip()}" for file, trace in errors.items())
            raise RegularsError(
                f"Expected Airflow to read the DAG {missing[0]}, found it absent"
                f"{why or ': look at the log of the dag-processor'}"
            )
        time.sleep(POLL_SECONDS)


def wake(api: Api, dag: str, day: str) -> Run:
    """Start a DAG of the chain for a business day; those behind it follow by themselves."""
    await_dags(api, (dag,))
    return api.trigger(dag, day)


def newest(api: Api, day: str, dags: tuple[str, ...] = CHAIN) -> dict[str, Run]:
    """DAG -> its newest run for a business day."""
    found: dict[str, Run] = {}
    for run in api.runs(partition_key=day):
        if run.dag in dags:
            found.setdefault(run.dag, run)
    return found


def is_complete(runs: dict[str, Run], dags: tuple[str, ...] = CHAIN) -> bool:
    """Whether the newest run of every DAG of the chain went well."""
    return all(dag in runs and runs[dag].state == "success" for dag in dags)


def run_chain(
    api: Api,
    screen: Screen,
    day: str,
    since: str | None,
    watch: Callable[[], None],
    dags: tuple[str, ...] = CHAIN,
) -> dict[str, Run]:
    """Start the first DAG for a day and follow the others to the last.

    Parameters
    ----------
    day
        The business day: the partition key of every run.
    since
        First day of the history to load with it.
    watch
        Called at every look, to see after the servers.

    Returns
    -------
    DAG -> its run.

    Raises
    ------
    ChainFailed
        When a run fails or a DAG is not woken.
    """
    earlier = set()
    for run in api.runs(partition_key=day):
        earlier.add((run.dag, run.id))
        if run.state not in ENDED:
            api.give_up(run, "Left unfinished by a launcher that was stopped.")
    api.unpause(dags)
    first = api.trigger(dags[0], day, {"since": since} if since else None)
    ended = time.monotonic()
    while True:
        watch()
        runs = {first.dag: first}
        for run in api.runs(partition_key=day):
            if run.dag in dags and (run.dag, run.id) not in earlier:
                runs[run.dag] = run
        for dag in dags:
            if dag not in runs:
                break
            if follow(api, screen, runs[dag]):
                continue
            ended = time.monotonic()
            break
        if is_complete(runs, dags):
            return runs
        if time.monotonic() - ended > PATIENCE_SECONDS:
            waiting = next(dag for dag in dags if dag not in runs)
            raise ChainFailed(
                f"Expected {waiting} to be woken for {day}, found no run of it "
                f"{PATIENCE_SECONDS:.0f} s after the DAG before it had ended: look at its page in the "
                "UI, and at the log of the scheduler."
            )
        time.sleep(POLL_SECONDS)


def run_one(api: Api, screen: Screen, dag: str, watch: Callable[[], None]) -> Run:
    """Start one run of a DAG that has no business day, and follow it to its end."""
    run = api.trigger(dag)
    api.unpause([dag])
    while not follow(api, screen, run):
        watch()
        time.sleep(POLL_SECONDS)
        run = api.run(dag, run.id)
    return run


def follow(api: Api, screen: Screen, run: Run) -> bool:
    """Show how a run stands; whether it has ended well.

    Raises
    ------
    ChainFailed
        When it has failed.
    """
    tasks = api.tasks(run)
    over = sum(task.state in ENDED for task in tasks)
    busy = [task.name + again(task) for task in tasks if task.state not in {None, *ENDED}]
    if run.state == "failed":
        screen.show(run.dag, "failed", f"{over} of {len(tasks)} tasks", run.seconds)
        raise ChainFailed(explain(api, run, tasks))
    if run.state == "success":
        screen.show(run.dag, "done", f"{over} of {len(tasks)} tasks", run.seconds)
        return True
    doing = ", ".join(busy) or ("queued" if over < len(tasks) else "ending")
    screen.show(run.dag, "running", f"{doing} ({over} of {len(tasks)} tasks done)")
    return False


def again(task: Task) -> str:
    """A mark for a task that is not in its first try."""
    return f" (try {task.tries})" if task.tries > 1 else ""


def explain(api: Api, run: Run, tasks: list[Task]) -> str:
    """Which task of a failed run failed, and the end of its log."""
    failed = next((task for task in tasks if task.state == "failed"), None)
    if failed is None:
        return f"Expected the run {run.id} of {run.dag} to succeed, found it failed without a task."
    try:
        lines = api.log(run, failed)[-LOG_LINES:]
    except RegularsError as error:
        lines = [f"(its log cannot be read: {error})"]
    text = "\n".join(f"    {line}" for line in lines)
    return (
        f"Expected {run.dag} to succeed, found that its task {failed.name} failed in try "
        f"{failed.tries}; the end of its log:\n{text}"
    )
