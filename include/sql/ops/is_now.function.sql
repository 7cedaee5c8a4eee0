-- Whether a day and a moment that a till says are about now: by the shop's standing clock, else the wall
-- clock, within the tolerance. Day by day, since the shop's business day may end some hours after midnight.
CREATE FUNCTION ops.is_now(day date, at timestamptz) RETURNS boolean
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT
        is_now.at BETWEEN c.moment - c.room AND c.moment + c.room
        AND is_now.day BETWEEN
            (timezone(c.timezone, c.moment - c.room))::date AND (timezone(c.timezone, c.moment + c.room))::date
    FROM (
        SELECT
            coalesce(max(k.moment), clock_timestamp()) AS moment,
            coalesce(max(k.timezone), 'UTC') AS timezone,
            make_interval(hours => coalesce(max(k.tolerance_hours), 48)) AS room
        FROM ops.clock AS k
    ) AS c;
$$;
