-- One row: the stamps, in UTC, of the first and the newest order.
-- An order cannot be placed after it was recorded: such a stamp is a mistake and moves no day.
-- Tables: woocommerce/woocommerce at 40875d41297358c87ce4d7a9a8685ee3525acd18,
-- src/Internal/DataStores/Orders/OrdersTableDataStore.php.
SELECT
    min(o.date_created_gmt) AS first_day,
    max(o.date_created_gmt) AS last_day
FROM %(prefix)swc_orders AS o
WHERE
    o.type = 'shop_order'
    AND o.status NOT IN (
        'wc-pending', 'wc-cancelled', 'wc-failed', 'wc-checkout-draft', 'auto-draft', 'draft', 'trash'
    )
    AND o.date_created_gmt >= '1900-01-01'
    AND o.date_created_gmt <= coalesce(o.date_updated_gmt, o.date_created_gmt) + INTERVAL 1 DAY
