"""The databases and roles of one PostgreSQL server, each role with the least that its work needs.

| role | what it may do |
|---|---|
| airflow | owns the database `airflow` |
| shop | owns the database `shop`, the demo's own |
| regulars_reader | reads `shop` |
| regulars_etl | owns the database `warehouse` and makes its schemas |
| regulars_marketing | connects to `warehouse`; reads the schema `marketing` by its contracts' grants |
| regulars_console | connects to `warehouse`; reads `marketing` and `ops` by their contracts' grants |
| regulars_till | a group for logins of tills: redeems coupons and gives them back, reads nothing |
| regulars_gateway | a group for gateways and unsubscribe pages: records delivery events, reads nothing |
| regulars_shop | a member of both groups, for a login that does both |

Schemas and tables are not made here: the contracts do that.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import encrypt_password

from include.errors import BadInput, Unreachable

#: Database -> its owner.
OWNERS = {"airflow": "airflow", "shop": "shop", "warehouse": "regulars_etl"}

#: Database -> roles that may connect to it besides its owner.
GUESTS = {
    "airflow": (),
    "shop": ("regulars_reader",),
    "warehouse": (
        "regulars_marketing",
        "regulars_console",
        "regulars_till",
        "regulars_gateway",
        "regulars_shop",
    ),
}

#: Roles that logins of the shop's own are made members of, and of which groups they are members themselves;
#: they cannot log in.
GROUPS: dict[str, tuple[str, ...]] = {
    "regulars_till": (),
    "regulars_gateway": (),
    "regulars_shop": ("regulars_till", "regulars_gateway"),
}

#: Roles that never write: said twice, as privileges and as the session's default.
READERS = ("regulars_reader", "regulars_marketing", "regulars_console")

ROLES = (*OWNERS.values(), *READERS)

#: Connection name -> its role and database. `shop_owner` fills the demo shop; nothing else uses it.
CONNECTIONS = {
    "airflow": ("airflow", "airflow"),
    "shop_owner": ("shop", "shop"),
    "shop": ("regulars_reader", "shop"),
    "warehouse": ("regulars_etl", "warehouse"),
    "warehouse_marketing": ("regulars_marketing", "warehouse"),
    "warehouse_console": ("regulars_console", "warehouse"),
}


def prepare(admin_url: str, passwords: Mapping[str, str]) -> dict[str, str]:
    """Make the roles and databases, or bring them to this state; safe to run again.

    Parameters
    ----------
    admin_url
        Address of an administrator on any database of the server.
    passwords
        Password of each role in `ROLES`.

    Returns
    -------
    Connection name -> address, for every name in `CONNECTIONS`.

    Raises
    ------
    BadInput
        When a role has no password.
    Unreachable
        When the administrator cannot log in.
    """
    missing = [role for role in ROLES if not passwords.get(role)]
    if missing:
        raise BadInput(
            f"Expected a password for every role, found none for {', '.join(missing)}: set them."
        )
    with admin(admin_url) as conn:
        for role in ROLES:
            make_role(conn, role, passwords[role])
        for database in OWNERS:
            make_database(conn, database, database)
        for database in ("postgres", "template1"):
            run(conn, "REVOKE CONNECT ON DATABASE {} FROM PUBLIC", database)
        # What these two hold is made again from elsewhere after a crash of the machine. The
        # warehouse keeps the default: a claimed message must never be claimed twice.
        for database in ("airflow", "shop"):
            run(conn, "ALTER DATABASE {} SET synchronous_commit = off", database)
    with admin(admin_url, "shop") as conn:
        grant_reading(conn)
    with admin(admin_url, "warehouse") as conn:
        run(conn, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
    return addresses(admin_url, passwords, {name: name for name in OWNERS})


def is_prepared(admin_url: str) -> bool:
    """Whether every role is there: a server that an older version prepared lacks what came later."""
    with admin(admin_url) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles")
        return {*ROLES, *GROUPS} <= {name for (name,) in cursor.fetchall()}


def addresses(
    admin_url: str, passwords: Mapping[str, str], databases: Mapping[str, str]
) -> dict[str, str]:
    """Connection name -> address, where each database may go by another name (the tests' copies)."""
    return {
        name: address(admin_url, role, passwords[role], databases[database])
        for name, (role, database) in CONNECTIONS.items()
        if database in databases
    }


def address(admin_url: str, role: str, password: str, database: str) -> str:
    """The address of a role on a database of the administrator's server."""
    place = urlsplit(admin_url).netloc.rpartition("@")[2]
    login = f"{quote(role, safe='')}:{quote(password, safe='')}"
    return urlunsplit(("postgresql", f"{login}@{place}", f"/{database}", "", ""))


def make_role(conn: Connection, role: str, password: str) -> None:
    """One role that can log in and do nothing else; its password reaches the server as a hash."""
    known = fetch(conn, "SELECT 1 FROM pg_roles WHERE rolname = %s", role)
    if not known:
        run(conn, "CREATE ROLE {}", role)
    verifier = encrypt_password(password, role, conn, "scram-sha-256")
    attributes = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
    with conn.cursor() as cursor:
        statement = sql.SQL(f"ALTER ROLE {{}} {attributes} PASSWORD {{}}")
        cursor.execute(statement.format(sql.Identifier(role), sql.Literal(verifier)))
    if role in READERS:
        run(conn, "ALTER ROLE {} SET default_transaction_read_only = on", role)


def make_database(conn: Connection, kind: str, database: str, template: str | None = None) -> None:
    """One database with its owner and its guests, where it is absent; its grants in any case.

    Parameters
    ----------
    kind
        Whose owner and guests it gets: a key of `OWNERS`.
    database
        Its name.
    template
        A database to copy.
    """
    owner = OWNERS[kind]
    if not fetch(conn, "SELECT 1 FROM pg_database WHERE datname = %s", database):
        origin = template or "template0"
        run(conn, "CREATE DATABASE {} OWNER {} TEMPLATE {}", database, owner, origin)
    run(conn, "ALTER DATABASE {} OWNER TO {}", database, owner)
    run(conn, "REVOKE ALL ON DATABASE {} FROM PUBLIC", database)
    for guest in GUESTS[kind]:
        if guest in GROUPS and not fetch(conn, "SELECT 1 FROM pg_roles WHERE rolname = %s", guest):
            run(conn, "CREATE ROLE {} NOLOGIN", guest)
        for group in GROUPS.get(guest, ()):
            run(conn, "GRANT {} TO {}", group, guest)
        run(conn, "GRANT CONNECT ON DATABASE {} TO {}", database, guest)


def grant_reading(conn: Connection) -> None:
    """Let the reader read what the demo shop's owner makes in the connected database."""
    for statement in (
        "GRANT USAGE ON SCHEMA public TO regulars_reader",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO regulars_reader",
        "ALTER DEFAULT PRIVILEGES FOR ROLE shop IN SCHEMA public "
        "GRANT SELECT ON TABLES TO regulars_reader",
    ):
        run(conn, statement)


@contextmanager
def admin(url: str, database: str | None = None) -> Iterator[Connection]:
    """An administrator's connection, each statement on its own, as CREATE DATABASE needs.

    Raises
    ------
    Unreachable
        When the server does not answer or refuses the login.
    """
    target = urlsplit(url)._replace(path=f"/{database}").geturl() if database else url
    try:
        conn = psycopg2.connect(target, connect_timeout=10, application_name="regulars launcher")
    except psycopg2.OperationalError as error:
        place = urlsplit(target).netloc.rpartition("@")[2]
        reason = str(error).strip().splitlines()[-1]
        raise Unreachable(
            f"Expected to reach PostgreSQL at {place} as its administrator, found: {reason}. Check "
            "the address and the password."
        ) from None
    conn.autocommit = True
    try:
        yield conn
    finally:
        conn.close()


def run(conn: Connection, statement: str, *names: str) -> None:
    """Run a statement with quoted names in its braces."""
    with conn.cursor() as cursor:
        cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def fetch(conn: Connection, statement: str, *values: str) -> bool:
    """Whether a query finds anything."""
    with conn.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone() is not None
