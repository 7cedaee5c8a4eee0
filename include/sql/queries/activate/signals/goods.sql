-- One row per product known at the end of the day, and whether the policy calls it sensitive.
-- sensitive: the policy's rules, as JSON; of each all that it gives of product_ids, types, categories and
-- manufacturers must fit. A price limit is not looked at, so that the rule holds for the whole kind.
SELECT DISTINCT ON (v.product_id)
    v.product_id,
    v.name,
    v.type,
    v.category,
    v.brand,
    v.active,
    exists(
        SELECT 1
        FROM jsonb_array_elements(%(sensitive)s::jsonb) AS r (rule)
        WHERE
            (r.rule -> 'product_ids' IS NULL OR r.rule -> 'product_ids' @> to_jsonb(v.product_id))
            AND (r.rule -> 'types' IS NULL OR r.rule -> 'types' @> to_jsonb(v.type))
            AND (r.rule -> 'categories' IS NULL OR r.rule -> 'categories' @> to_jsonb(v.category))
            AND (
                r.rule -> 'manufacturers' IS NULL
                OR r.rule -> 'manufacturers' @> to_jsonb(v.manufacturer_id)
            )
    ) AS is_sensitive
FROM core.products AS v
WHERE v.valid_from < %(end)s AND v.known_at < %(end)s
ORDER BY v.product_id ASC, v.valid_from DESC, v.known_at DESC
