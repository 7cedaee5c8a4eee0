"""The shop's clock, written where functions of the warehouse read it: `ops.clock`."""

from datetime import datetime

from include import warehouse
from include.policy import Policy
from include.warehouse import Connection


def write(conn: Connection, rules: Policy, moment: datetime | None = None) -> None:
    """Write the clock that tills are held to, in the caller's transaction.

    Parameters
    ----------
    moment
        What it shows, where it is not the policy's: `shop.clock`, or the wall clock where that is null.
    """
    warehouse.execute(
        conn,
        """
        INSERT INTO ops.clock (name, moment, timezone, tolerance_hours, written_at)
        VALUES ('shop', %(moment)s, %(timezone)s, %(hours)s, clock_timestamp())
        ON CONFLICT (name) DO UPDATE SET moment = excluded.moment, timezone = excluded.timezone,
            tolerance_hours = excluded.tolerance_hours, written_at = excluded.written_at
        """,
        {
            "moment": moment or rules.shop.fixed_clock(),
            "timezone": rules.shop.timezone,
            "hours": rules.coupons.clock_tolerance_hours,
        },
    )
