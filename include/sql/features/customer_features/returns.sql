-- Grain: one row per customer with a known order: what was brought back of what was spent.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of).
SELECT
    s.customer_id,
    -- What was bought before the 182 days comes back within them too: a share all the same.
    least(coalesce(r.refund_cents_26w, 0), s.cents_26w)::double precision / nullif(s.cents_26w, 0)
        AS return_share_26w
FROM spend AS s
LEFT JOIN (
    SELECT
        b.customer_id,
        sum((b.refund * 100)::bigint) AS refund_cents_26w
    FROM core.known_returns AS b
    WHERE
        b.business_day BETWEEN %(as_of)s::date - 181 AND %(as_of)s::date
        AND b.known_from < %(end)s::timestamptz
        AND b.known_until >= %(end)s::timestamptz
    GROUP BY b.customer_id
) AS r ON s.customer_id = r.customer_id
