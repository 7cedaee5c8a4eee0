-- Grain: one row per account whose record changed that day, with its address for e-mail, and one per order
-- without an account. WooCommerce asks nobody to confirm an address.
-- Tables: woocommerce/woocommerce at 40875d41297358c87ce4d7a9a8685ee3525acd18,
-- src/Internal/DataStores/Orders/OrdersTableDataStore.php; WordPress/wordpress-develop at
-- 01501ab4787d053da5eb1425696ec3363d3adf4c, src/wp-admin/includes/schema.php.
SELECT
    s.updated_at AS _partition,
    s.id * 2 AS contact_id,
    cast(s.id AS char) AS customer_number,
    'email' AS channel,
    s.user_email AS address,
    0 AS verified,
    s.updated_at
FROM (
    SELECT
        u.id,
        u.user_email,
        greatest(
            coalesce(
                max(from_unixtime(cast(m.meta_value AS unsigned))),
                CASE WHEN u.user_registered >= '1900-01-01' THEN u.user_registered END
            ),
            u.user_registered
        ) AS updated_at
    FROM %(prefix)susers AS u
    LEFT JOIN %(prefix)susermeta AS m
        ON u.id = m.user_id AND m.meta_key = 'last_update' AND m.meta_value RLIKE '^[0-9]{9,10}$'
    WHERE
        u.user_email <> ''
        AND (
            EXISTS (
                SELECT 1 FROM %(prefix)swc_orders AS o
                WHERE o.customer_id = u.id
            )
            OR EXISTS (
                SELECT 1 FROM %(prefix)susermeta AS c
                WHERE
                    c.user_id = u.id
                    AND c.meta_key = '%(prefix)scapabilities'
                    AND c.meta_value LIKE '%%"customer"%%'
            )
        )
    GROUP BY u.id, u.user_email, u.user_registered
) AS s
WHERE (s.updated_at >= %(start)s AND s.updated_at < %(end)s) OR s.updated_at IS NULL
UNION ALL
SELECT
    o.date_created_gmt AS _partition,
    o.id * 2 + 1 AS contact_id,
    concat('guest-', left(sha2(lower(trim(o.billing_email)), 256), 24))
        AS customer_number,
    'email' AS channel,
    o.billing_email AS address,
    0 AS verified,
    o.date_created_gmt AS updated_at
FROM %(prefix)swc_orders AS o
WHERE
    o.type = 'shop_order'
    AND coalesce(o.customer_id, 0) = 0
    AND trim(o.billing_email) NOT IN ('', 'deleted@site.invalid')
    AND o.status NOT IN (
        'wc-pending', 'wc-cancelled', 'wc-failed', 'wc-checkout-draft', 'auto-draft', 'draft', 'trash'
    )
    AND o.date_created_gmt >= %(start)s
    AND o.date_created_gmt < %(end)s
