-- Grain: one row per customer who redeemed a coupon of the shop's campaigns.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of).
SELECT
    r.customer_id,
    count(*) AS redemptions_total,
    count(*) FILTER (WHERE %(as_of)s::date - r.business_day < 91) AS redemptions_13w
FROM core.known_redemptions AS r
WHERE
    r.business_day <= %(as_of)s::date
    AND r.known_from < %(end)s::timestamptz
    AND r.known_until >= %(end)s::timestamptz
GROUP BY r.customer_id
