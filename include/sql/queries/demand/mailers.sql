-- Grain: one row per product and week of a mailer that was planned by the end of as_of.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of), weeks (integer).
SELECT
    product_id,
    starts_on,
    page IN ('front', 'back', 'wrap') AS is_front,
    store_share::double precision AS store_share
FROM core.known_promotions
WHERE
    known_from < %(end)s::timestamptz
    AND known_until >= %(end)s::timestamptz
    AND starts_on > %(as_of)s::date - 7 * %(weeks)s::integer - 7
    AND starts_on <= %(as_of)s::date + 56
ORDER BY product_id, starts_on
