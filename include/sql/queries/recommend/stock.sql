-- Grain: one row per region and product that was counted within `days` of as_of and had nothing in stock
-- at the newest count, in any of the places that serve the region.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of), days.
SELECT
    coalesce(w.region, newest.region) AS region,
    newest.product_id
FROM (
    SELECT DISTINCT ON (s.region, s.product_id)
        s.region,
        s.product_id,
        s.on_hand
    FROM core.stock_levels AS s
    WHERE
        s.business_day <= %(as_of)s::date
        AND s.business_day > %(as_of)s::date - %(days)s::integer
        AND s.counted_at < %(end)s::timestamptz
    ORDER BY s.region ASC, s.product_id ASC, s.counted_at DESC
) AS newest
LEFT JOIN core.stock_places AS w
    ON
        newest.region = w.place
        AND w.known_from < %(end)s::timestamptz
        AND w.known_until >= %(end)s::timestamptz
GROUP BY coalesce(w.region, newest.region), newest.product_id
HAVING sum(newest.on_hand) <= 0
ORDER BY coalesce(w.region, newest.region), newest.product_id
