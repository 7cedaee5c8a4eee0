"""The embedded server with its databases, and the environment in which our own Python runs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

from include.launcher.servers import databases
from include.launcher.servers.postgresql import Server
from include.launcher.servers.state import ROOT, State


@contextmanager
def embedded(state: State) -> Iterator[dict[str, str]]:
    """Keep the embedded server up, with its databases and roles; connection name -> address.

    The addresses also go to `connections.json`, where `include.warehouse` finds them, and to
    `pgpass`, where psql does.
    """
    server = Server(state)
    with server.use():
        with state.mutex("databases"):
            passwords = {role: state.secret(role) for role in databases.ROLES}
            urls = databases.addresses(
                server.admin_url(), passwords, {name: name for name in databases.OWNERS}
            )
            # They are written last, so their presence says that the databases are there.
            standing = state.read("connections.json") == urls
            if not (standing and databases.is_prepared(server.admin_url())):
                urls = databases.prepare(server.admin_url(), passwords)
                state.write("pgpass", passwords_file([*urls.values(), server.admin_url()]))
                state.write("connections.json", urls)
            if not (state.home / "pseudonym.key").exists():
                state.write("pseudonym.key", state.secret("pseudonym", 32) + "\n")
        yield urls


def passwords_file(urls: list[str]) -> str:
    """The addresses' logins in the form of libpq's password file."""
    lines = []
    for url in urls:
        part = urlsplit(url)
        lines.append(
            f"{part.hostname}:{part.port}:*:{unquote(part.username or '')}:"
            f"{unquote(part.password or '')}\n"
        )
    return "".join(lines)


def environment(state: State) -> dict[str, str]:
    """The environment of this process plus what our Python needs to find itself and the state.

    The connections are not in it: `include.warehouse` reads them from the state folder, and a
    connection that the caller has set in `AIRFLOW_CONN_<NAME>` goes before them.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {
        **os.environ,
        "REGULARS_HOME": str(state.home),
        "PYTHONPATH": path,
        # More threads than tasks' share of two cores only get into each other's way.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "GX_ANALYTICS_ENABLED": "false",
    }
