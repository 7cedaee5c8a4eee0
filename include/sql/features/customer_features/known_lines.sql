-- Grain: one row per order line of the days up to as_of, as it was known at the end of as_of.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of).
-- Money is summed in whole cents and weights in thousandths of a cent: exact sums do not depend on
-- the order of rows, so a day built twice is the same to the last digit.
SELECT
    l.order_id,
    l.customer_id,
    l.product_id,
    (l.sales * 100)::bigint AS cents,
    (l.retail_discount * 100)::bigint AS retail_discount_cents,
    ((l.coupon_discount + l.coupon_match_discount) * 100)::bigint AS coupon_discount_cents,
    l.quantity,
    l.is_unit
FROM core.known_order_lines AS l
WHERE
    l.business_day <= %(as_of)s::date
    AND l.known_from < %(end)s::timestamptz
    AND l.known_until >= %(end)s::timestamptz
