-- One row per row of a trigger's query, `found`: what one campaign may answer, with the name of the product
-- that it is about. Only what was known at the end of the day. What is about a product that the policy calls
-- sensitive is left out: every message names its product.
-- A name without a schema is a file of signals/, which a trigger's query may read too, or that query. The
-- query gives customer_id (NULL: it is for more than one), key (what the message is about), product_id (NULL:
-- no product), and whatever else the trigger looks at.
-- is_offer: whether the message offers the product, so that it must be in stock and free to sell.
SELECT
    f.*, -- noqa: AM04
    n.name AS product,
    CASE WHEN %(is_offer)s THEN n.active AND coalesce(t.on_hand > 0, TRUE) END AS in_stock,
    %(is_offer)s
    AND coalesce(p.promote_to = 'high_value' AND g.value_tier <> 'high', FALSE) AS kept_back
FROM found AS f
LEFT JOIN goods AS n ON f.product_id = n.product_id
LEFT JOIN regions AS c ON f.customer_id = c.customer_id
LEFT JOIN stock AS t ON c.region = t.region AND f.product_id = t.product_id
LEFT JOIN priorities AS p ON c.region = p.region AND f.product_id = p.product_id
LEFT JOIN marketing.customer_segments AS g ON f.customer_id = g.customer_id AND g.as_of = %(as_of)s
WHERE f.product_id IS NULL OR NOT n.is_sensitive
ORDER BY f.customer_id, f.key
