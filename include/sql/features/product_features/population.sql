-- Grain: one row per product known or sold by the end of as_of.
SELECT n.product_id FROM known_products AS n
WHERE n.is_known
UNION
SELECT s.product_id FROM sales AS s
