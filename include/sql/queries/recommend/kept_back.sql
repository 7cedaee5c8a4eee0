-- Grain: one row per region and product of which pieces are held for high-value customers, by the stock
-- priorities published for the day before as_of (those of as_of itself are worked out from its scores).
-- They count where they stood before the day was scored for the first time: in a backfill the day before may
-- still be at work, and a day that is run again must see what it saw then.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of).
WITH counted AS (
    SELECT min(b.published_at) AS published_at
    FROM ops.batches AS b
    WHERE b.dataset = 'stock_priorities' AND b.as_of = %(as_of)s::date - 1
),

scored AS (
    SELECT b.opened_at
    FROM ops.batches AS b
    WHERE b.dataset = 'scores' AND b.as_of = %(as_of)s::date
    ORDER BY b.published_at ASC NULLS LAST, b.token DESC
    LIMIT 1
)

SELECT DISTINCT
    coalesce(w.region, s.region) AS region,
    s.product_id
FROM marketing.stock_priorities AS s
LEFT JOIN core.stock_places AS w
    ON
        s.region = w.place
        AND w.known_from < %(end)s::timestamptz
        AND w.known_until >= %(end)s::timestamptz
CROSS JOIN counted AS c
LEFT JOIN scored AS d ON TRUE
WHERE
    s.as_of = %(as_of)s::date - 1
    AND s.promote_to = 'high_value'
    AND coalesce(c.published_at < d.opened_at, TRUE)
ORDER BY region, product_id
