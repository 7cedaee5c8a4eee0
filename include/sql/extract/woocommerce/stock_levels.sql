-- Grain: one row per product whose stock is managed, on the last day of the window.
-- WooCommerce keeps what stands on the shelf now and no history: that is the count of the day that is asked
-- for, made as it ends; a day that is run again later is given what stands there then. Nothing is told of a
-- window without a beginning or an end. A variation without a count of its own has its product's; what is
-- promised beyond the stock is none.
-- Tables: woocommerce/woocommerce at aa094f1b8114883a86120cc48af22ebadd7b0784, includes/class-wc-install.php;
-- WordPress/wordpress-develop at 01501ab4787d053da5eb1425696ec3363d3adf4c, src/wp-admin/includes/schema.php.
SELECT
    w.counted_at AS _partition,
    'web' AS region,
    cast(p.id AS char) AS product_number,
    greatest(coalesce(l.stock_quantity, m.stock_quantity), 0) AS on_hand,
    NULL AS on_order,
    w.counted_at
FROM (SELECT cast(%(end)s AS datetime) - INTERVAL 1 SECOND AS counted_at) AS w
INNER JOIN
    %(prefix)sposts AS p
    ON p.post_type IN ('product', 'product_variation') AND p.post_status = 'publish'
LEFT JOIN %(prefix)swc_product_meta_lookup AS l ON p.id = l.product_id
LEFT JOIN
    %(prefix)swc_product_meta_lookup AS m
    ON p.post_parent = m.product_id AND p.post_type = 'product_variation'
WHERE
    coalesce(l.stock_quantity, m.stock_quantity) IS NOT NULL
    AND %(start)s > '1000-01-01'
    AND %(end)s < '9000-01-01'
