-- Grain: one row per customer, product and business day on which the customer bought the product.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of).
-- Reads core only, and of core only what was known before the end of as_of. Fuel, coupon and
-- miscellaneous items (is_unit = false) are no recommendation and stay out, and so do lines of neither
-- money nor goods. Sums are of whole cents and exact, so they do not depend on the order of rows.
-- Orders without a customer come as one row a product and day, of no customer.
SELECT
    l.customer_id,
    l.product_id,
    l.business_day,
    count(DISTINCT l.order_id)::integer AS orders,
    sum(l.quantity)::double precision AS quantity,
    sum((l.sales * 100)::bigint)::double precision / 100 AS sales,
    sum((l.retail_discount * 100)::bigint)::double precision / 100 AS discount
FROM core.known_order_lines AS l
WHERE
    l.is_unit
    AND (l.quantity > 0 OR l.sales > 0)
    AND l.business_day <= %(as_of)s::date
    AND l.known_from < %(end)s::timestamptz
    AND l.known_until >= %(end)s::timestamptz
GROUP BY l.customer_id, l.product_id, l.business_day
ORDER BY l.customer_id, l.product_id, l.business_day
