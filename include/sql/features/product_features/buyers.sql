-- Grain: one row per product sold in the last 91 days: in how many orders, to how many customers, and to how
-- many again. Orders without a customer are orders, and nobody's.
SELECT
    b.product_id,
    count(b.customer_id) AS buyers_13w,
    sum(b.orders) AS orders_13w,
    count(b.customer_id) FILTER (WHERE b.orders > 1)::double precision
    / nullif(count(b.customer_id), 0) AS repeat_buyer_share_13w
FROM (
    SELECT
        l.product_id,
        l.customer_id,
        count(DISTINCT l.order_id) AS orders
    FROM known_lines AS l
    WHERE l.age_days < 91
    GROUP BY l.product_id, l.customer_id
) AS b
GROUP BY b.product_id
