-- Grain: one row per customer who bought something sold in units in the last 91 days: how many kinds.
SELECT
    b.customer_id,
    count(*) AS products_13w,
    count(*) FILTER (WHERE b.orders > 1) AS repeat_products_13w,
    count(DISTINCT p.category) AS categories_13w,
    count(DISTINCT p.department) AS departments_13w,
    coalesce(sum(b.cents) FILTER (WHERE p.brand = 'Private'), 0)::double precision
    / nullif(sum(b.cents), 0)::double precision AS private_share_13w
FROM products_bought AS b
LEFT JOIN known_products AS p ON b.product_id = p.product_id
GROUP BY b.customer_id
