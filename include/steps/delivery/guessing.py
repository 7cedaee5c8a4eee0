"""Whoever tries coupon codes that are nobody's is told of to people, once a day."""

from include import notify, warehouse
from include.warehouse import Connection

#: Codes that are nobody's, asked for by one login within a day: more than a busy till mistypes.
MANY = 30


def tell(conn: Connection, dag_id: str) -> list[str]:
    """Tell of each login that guesses; their names."""
    found = warehouse.rows(
        conn,
        """
        SELECT login, count(*), clock_timestamp()::date::text
        FROM ops.till_answers
        WHERE reason = 'unknown_code' AND answered_at > clock_timestamp() - interval '1 day'
        GROUP BY login
        HAVING count(*) >= %(many)s
        ORDER BY login
        """,
        {"many": MANY},
    )
    for login, count, day in found:
        notify.remark(
            dag_id,
            f"guessing-{login}-{day}",
            f"The login {login} asked for {count} coupon codes within a day that are nobody's.",
            "See ops.till_answers for what it asked. Mend a till that reads wrongly; take the right from "
            f"a stranger's login: REVOKE regulars_till FROM {login}.",
        )
    return [login for login, *_ in found]
