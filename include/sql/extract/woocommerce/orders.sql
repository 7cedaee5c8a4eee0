-- Grain: one row per order placed that day. What is not paid, failed, was cancelled or thrown away is none.
-- Whoever ordered without an account is known by the billing address for e-mail: its number is a hash of it.
-- Amounts are in the order's own currency.
-- Tables: woocommerce/woocommerce at 40875d41297358c87ce4d7a9a8685ee3525acd18,
-- src/Internal/DataStores/Orders/OrdersTableDataStore.php; statuses: src/Enums/OrderInternalStatus.php at
-- 09c02d737cf712ee84e9cd60aeadeadf8871e50c; orders of tills: src/Internal/Orders/PointOfSaleOrderUtil.php at
-- a44124ef7f55aed7e4ae8902b18dab4d27b4b400.
SELECT
    o.date_created_gmt AS _partition,
    cast(o.id AS char) AS order_number,
    CASE
        WHEN o.customer_id > 0 THEN cast(o.customer_id AS char)
        WHEN trim(o.billing_email) NOT IN ('', 'deleted@site.invalid')
            THEN concat(
                'guest-', left(sha2(lower(trim(o.billing_email)), 256), 24)
            )
    END AS customer_number,
    'web' AS store_number,
    CASE WHEN d.created_via = 'pos-rest-api' THEN 'till' ELSE 'web' END AS channel,
    o.currency,
    o.date_created_gmt AS ordered_at,
    o.date_updated_gmt AS updated_at
FROM %(prefix)swc_orders AS o
LEFT JOIN %(prefix)swc_order_operational_data AS d ON o.id = d.order_id
WHERE
    o.type = 'shop_order'
    AND o.status NOT IN (
        'wc-pending', 'wc-cancelled', 'wc-failed', 'wc-checkout-draft', 'auto-draft', 'draft', 'trash'
    )
    AND ((o.date_created_gmt >= %(start)s AND o.date_created_gmt < %(end)s) OR o.date_created_gmt IS NULL)
