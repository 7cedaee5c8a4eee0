-- One row per customer in a control group by the business days up to this one.
SELECT
    m.customer_id,
    m.scope,
    m.external_id,
    m.share
FROM (
    SELECT DISTINCT ON (x.customer_id, x.scope)
        x.customer_id,
        x.scope,
        x.external_id,
        x.share,
        x.is_member
    FROM marketing.control_members AS x
    WHERE x.valid_from <= %(end)s AND x.as_of <= %(as_of)s
    ORDER BY x.customer_id ASC, x.scope ASC, x.valid_from DESC
) AS m
WHERE m.is_member
ORDER BY m.customer_id, m.scope
