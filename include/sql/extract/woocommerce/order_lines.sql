-- Grain: one row per product of an order placed that day; the item's own number is its place.
-- An amount is what the shop earned by the line: after coupons, without tax, as "net sales" of WooCommerce's
-- own reports. Shipping and fees are items of other types and no products. With tax, add _line_tax.
-- What is no number in the shop is empty here, and the line is set aside.
-- Tables: woocommerce/woocommerce at 40875d41297358c87ce4d7a9a8685ee3525acd18,
-- src/Internal/DataStores/Orders/OrdersTableDataStore.php, and at aa094f1b8114883a86120cc48af22ebadd7b0784,
-- includes/class-wc-install.php; keys of items: at 0cfca5c45ee831b2667da9b9e39ed25af454e43b,
-- includes/data-stores/class-wc-order-item-product-data-store.php.
SELECT
    o.date_created_gmt AS _partition,
    cast(o.id AS char) AS order_number,
    i.order_item_id AS line_number,
    coalesce(nullif(variation.meta_value, '0'), nullif(product.meta_value, '0')) AS product_number,
    CASE
        WHEN
            qty.meta_value RLIKE '^-?[0-9]+([.][0-9]+)?(e-?[0-9]+)?$'
            THEN cast(qty.meta_value AS decimal(20, 6))
    END AS quantity,
    CASE
        WHEN
            total.meta_value RLIKE '^-?[0-9]+([.][0-9]+)?(e-?[0-9]+)?$'
            THEN cast(total.meta_value AS decimal(26, 8))
    END AS sales_value,
    0 AS retail_discount,
    CASE
        WHEN subtotal.meta_value RLIKE '^-?[0-9]+([.][0-9]+)?(e-?[0-9]+)?$'
            THEN
                greatest(
                    cast(subtotal.meta_value AS decimal(26, 8)) - cast(total.meta_value AS decimal(26, 8)), 0
                )
        ELSE 0
    END AS coupon_discount,
    0 AS coupon_match_discount,
    o.date_created_gmt AS ordered_at
FROM %(prefix)swc_orders AS o
INNER JOIN %(prefix)swoocommerce_order_items AS i ON o.id = i.order_id AND i.order_item_type = 'line_item'
LEFT JOIN %(prefix)swoocommerce_order_itemmeta AS product
    ON i.order_item_id = product.order_item_id AND product.meta_key = '_product_id'
LEFT JOIN %(prefix)swoocommerce_order_itemmeta AS variation
    ON i.order_item_id = variation.order_item_id AND variation.meta_key = '_variation_id'
LEFT JOIN %(prefix)swoocommerce_order_itemmeta AS qty
    ON i.order_item_id = qty.order_item_id AND qty.meta_key = '_qty'
LEFT JOIN %(prefix)swoocommerce_order_itemmeta AS total
    ON i.order_item_id = total.order_item_id AND total.meta_key = '_line_total'
LEFT JOIN %(prefix)swoocommerce_order_itemmeta AS subtotal
    ON i.order_item_id = subtotal.order_item_id AND subtotal.meta_key = '_line_subtotal'
WHERE
    o.type = 'shop_order'
    AND o.status NOT IN (
        'wc-pending', 'wc-cancelled', 'wc-failed', 'wc-checkout-draft', 'auto-draft', 'draft', 'trash'
    )
    AND ((o.date_created_gmt >= %(start)s AND o.date_created_gmt < %(end)s) OR o.date_created_gmt IS NULL)
