-- One row per column of core.products and value that no product has which was known at the end of the day.
-- asked: JSON, column to values.
SELECT
    k.name,
    v.value
FROM jsonb_each(%(asked)s::jsonb) AS k (name, given)
CROSS JOIN LATERAL jsonb_array_elements_text(k.given) AS v
WHERE
    NOT EXISTS (
        SELECT 1
        FROM core.products AS p
        WHERE
            p.valid_from < %(end)s
            AND p.known_at < %(end)s
            AND CASE k.name
                WHEN 'product_id' THEN p.product_id
                WHEN 'type' THEN p.type
                WHEN 'category' THEN p.category
                WHEN 'brand' THEN p.brand
            END = v.value
    )
ORDER BY k.name, v.value
