-- One row per member event to come, as known at the end of the business day, unless it was called off.
SELECT
    NULL::uuid AS customer_id,
    m.event_id AS key,
    NULL::text AS product_id,
    m.name,
    m.region,
    m.starts_on,
    m.ends_on
FROM core.member_events AS m
WHERE m.known_at < %(end)s AND NOT m.cancelled AND m.starts_on > %(as_of)s
