-- Grain: one row per customer with an order in the last 91 days: at how many stores.
SELECT
    s.customer_id,
    count(*) AS stores_13w
FROM (
    SELECT DISTINCT
        b.customer_id,
        b.store_id
    FROM order_amounts AS b
    WHERE b.age_days < 91
) AS s
GROUP BY s.customer_id
