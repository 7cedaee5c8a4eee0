-- One row per region and product that was found, by the newest counts of four weeks in the places that serve
-- the region.
SELECT
    coalesce(w.region, t.region) AS region,
    t.product_id,
    sum(t.on_hand) AS on_hand
FROM (
    SELECT DISTINCT ON (x.region, x.product_id)
        x.region,
        x.product_id,
        x.on_hand
    FROM core.stock_levels AS x
    WHERE
        x.business_day <= %(as_of)s
        AND x.business_day > %(as_of)s::date - 28
        AND x.product_id IN (SELECT f.product_id FROM found AS f)
    ORDER BY x.region ASC, x.product_id ASC, x.counted_at DESC
) AS t
LEFT JOIN core.stock_places AS w
    ON t.region = w.place AND w.known_from < %(end)s AND w.known_until >= %(end)s
GROUP BY coalesce(w.region, t.region), t.product_id
