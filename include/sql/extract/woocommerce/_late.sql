-- Grain: one row: orders dated before the window that became none in it (cancelled, failed, thrown away), or
-- were only paid in it. What was published of their own day no longer holds.
-- Tables: woocommerce/woocommerce at 40875d41297358c87ce4d7a9a8685ee3525acd18,
-- src/Internal/DataStores/Orders/OrdersTableDataStore.php.
SELECT
    'orders' AS table_name,
    count(*) AS rows_outside,
    min(o.date_created_gmt) AS first_day,
    max(o.date_created_gmt) AS last_day
FROM %(prefix)swc_orders AS o
LEFT JOIN %(prefix)swc_order_operational_data AS d ON o.id = d.order_id
WHERE
    o.type = 'shop_order'
    AND o.date_updated_gmt >= %(start)s
    AND o.date_updated_gmt < %(end)s
    AND o.date_created_gmt < %(start)s
    AND o.date_created_gmt >= '1900-01-01'
    AND (
        o.status IN ('wc-cancelled', 'wc-failed', 'trash')
        OR (d.date_paid_gmt >= %(start)s AND d.date_paid_gmt < %(end)s)
    )
