-- Grain: one row per product or variation whose record changed that day.
-- Of several categories the oldest counts: the department is the one at its top, three steps up at most.
-- A row without a stamp, as of a draft, belongs to no day: every run meets it on the newest one.
-- Tables: WordPress/wordpress-develop at 01501ab4787d053da5eb1425696ec3363d3adf4c,
-- src/wp-admin/includes/schema.php. Titles and names are kept with & as &amp;.
SELECT
    p.post_modified_gmt AS _partition,
    cast(p.id AS char) AS product_number,
    NULL AS manufacturer_number,
    replace(coalesce(n3.name, n2.name, n1.name, n0.name, 'Uncategorized'), '&amp;', '&') AS department,
    (
        SELECT replace(min(n.name), '&amp;', '&')
        FROM %(prefix)sterm_relationships AS r
        INNER JOIN %(prefix)sterm_taxonomy AS t ON r.term_taxonomy_id = t.term_taxonomy_id
        INNER JOIN %(prefix)sterms AS n ON t.term_id = n.term_id
        WHERE r.object_id = p.main_id AND t.taxonomy = 'product_brand'
    ) AS brand,
    replace(n0.name, '&amp;', '&') AS category,
    replace(n0.name, '&amp;', '&') AS type,
    NULL AS package_size,
    replace(p.post_title, '&amp;', '&') AS name,
    p.post_status = 'publish' AS active,
    NULL AS unit_margin,
    p.post_modified_gmt AS updated_at
FROM (
    SELECT
        q.id,
        q.post_title,
        q.post_status,
        q.post_modified_gmt,
        CASE WHEN q.post_type = 'product_variation' THEN q.post_parent ELSE q.id END AS main_id,
        (
            SELECT min(t.term_taxonomy_id)
            FROM %(prefix)sterm_relationships AS r
            INNER JOIN %(prefix)sterm_taxonomy AS t ON r.term_taxonomy_id = t.term_taxonomy_id
            WHERE
                r.object_id = CASE WHEN q.post_type = 'product_variation' THEN q.post_parent ELSE q.id END
                AND t.taxonomy = 'product_cat'
        ) AS category_id
    FROM %(prefix)sposts AS q
    WHERE
        q.post_type IN ('product', 'product_variation')
        AND q.post_status <> 'auto-draft'
        AND (
            (q.post_modified_gmt >= %(start)s AND q.post_modified_gmt < %(end)s)
            OR q.post_modified_gmt < '1900-01-01'
        )
) AS p
LEFT JOIN %(prefix)sterm_taxonomy AS t0 ON p.category_id = t0.term_taxonomy_id
LEFT JOIN %(prefix)sterms AS n0 ON t0.term_id = n0.term_id
LEFT JOIN %(prefix)sterm_taxonomy AS t1 ON t0.parent = t1.term_id AND t1.taxonomy = 'product_cat'
LEFT JOIN %(prefix)sterms AS n1 ON t1.term_id = n1.term_id
LEFT JOIN %(prefix)sterm_taxonomy AS t2 ON t1.parent = t2.term_id AND t2.taxonomy = 'product_cat'
LEFT JOIN %(prefix)sterms AS n2 ON t2.term_id = n2.term_id
LEFT JOIN %(prefix)sterm_taxonomy AS t3 ON t2.parent = t3.term_id AND t3.taxonomy = 'product_cat'
LEFT JOIN %(prefix)sterms AS n3 ON t3.term_id = n3.term_id
