-- One row per message whose product the customer's region has not too much of any more, or that is gone.
WITH newest AS (
    SELECT max(s.as_of) AS as_of FROM marketing.stock_priorities AS s
)

SELECT w.message_id
FROM waiting AS w
LEFT JOIN homes AS h ON w.message_id = h.message_id
CROSS JOIN newest AS n
WHERE
    w.key IS NOT NULL
    -- What was published since the day that the decision looked at.
    AND n.as_of >= w.as_of
    -- As deciding reads them: what is kept back in one place of the region counts before what is cleared.
    AND coalesce((
        SELECT max(p.promote_to)
        FROM marketing.stock_priorities AS p
        LEFT JOIN core.stock_places AS k
            ON p.region = k.place AND k.known_from < w.day + 1 AND k.known_until >= w.day + 1
        WHERE
            p.as_of = n.as_of
            AND coalesce(k.region, p.region) = h.region
            AND p.product_id = w.key
            AND p.promote_to <> 'everybody'
    ) <> 'clear', TRUE)
UNION ALL
SELECT g.message_id FROM gone AS g
