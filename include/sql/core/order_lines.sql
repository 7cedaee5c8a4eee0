-- Grain: one row per product of an order placed in the window, as often as the shop sent it.
-- A line belongs to the customer and store of its order, placed on the same day, that passed in this batch.
-- Its amounts are in the shop's currency, by the rate of the order; as they came in they stand beside that.
-- Whether it counts in units is read from the product's record at the time of the order, or its oldest one.
WITH catalogue AS (
    SELECT
        p.product_id,
        p.is_unit,
        CASE
            WHEN lag(p.valid_from) OVER w IS NULL THEN '-infinity'::timestamptz
            ELSE p.valid_from
        END AS holds_from,
        coalesce(lead(p.valid_from) OVER w, 'infinity'::timestamptz) AS holds_until
    FROM (
        SELECT
            product_id,
            valid_from,
            is_unit
        FROM products
        UNION ALL
        SELECT
            product_id,
            valid_from,
            is_unit
        FROM core.products AS known
        WHERE NOT EXISTS (
            SELECT 1 FROM products AS s
            WHERE s.product_id = known.product_id AND s.valid_from = known.valid_from
        )
    ) AS p
    WINDOW w AS (PARTITION BY p.product_id ORDER BY p.valid_from)
),

lines AS (
    SELECT
        nullif(btrim(r.order_number), '') AS order_id,
        r.line_number,
        nullif(btrim(r.product_number), '') AS product_id,
        r._partition AS business_day,
        r.ordered_at,
        r.quantity,
        r.sales_value AS sales,
        r.retail_discount,
        r.coupon_discount,
        r.coupon_match_discount
    FROM raw.order_lines AS r
    WHERE r._partition BETWEEN %(since)s AND %(until)s
)

SELECT
    l.order_id,
    l.line_number,
    o.customer_id,
    l.product_id,
    o.store_id,
    l.business_day,
    l.ordered_at,
    l.quantity,
    coalesce(round(l.sales * o.exchange_rate, %(decimals)s), l.sales) AS sales,
    coalesce(round(l.retail_discount * o.exchange_rate, %(decimals)s), l.retail_discount) AS retail_discount,
    coalesce(round(l.coupon_discount * o.exchange_rate, %(decimals)s), l.coupon_discount) AS coupon_discount,
    coalesce(
        round(l.coupon_match_discount * o.exchange_rate, %(decimals)s), l.coupon_match_discount
    ) AS coupon_match_discount,
    CASE WHEN o.exchange_rate IS NOT NULL THEN o.currency END AS original_currency,
    CASE WHEN o.exchange_rate IS NOT NULL THEN l.sales END AS original_sales,
    CASE WHEN o.exchange_rate IS NOT NULL THEN l.retail_discount END AS original_retail_discount,
    CASE WHEN o.exchange_rate IS NOT NULL THEN l.coupon_discount END AS original_coupon_discount,
    CASE WHEN o.exchange_rate IS NOT NULL THEN l.coupon_match_discount END AS original_coupon_match_discount,
    o.exchange_rate,
    NULL::numeric AS cancelled_quantity,
    NULL::numeric AS cancelled_sales,
    l.quantity AS net_quantity,
    coalesce(round(l.sales * o.exchange_rate, %(decimals)s), l.sales) AS net_sales,
    o.known_at,
    coalesce(c.is_unit, FALSE) AS is_unit,
    CASE WHEN c.product_id IS NULL THEN ARRAY['unknown_product'] END AS flags
FROM lines AS l
LEFT JOIN orders AS o ON l.order_id = o.order_id AND l.business_day = o.business_day
LEFT JOIN catalogue AS c
    ON
        l.product_id = c.product_id
        AND l.ordered_at >= c.holds_from
        AND l.ordered_at < c.holds_until
