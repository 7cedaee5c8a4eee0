-- Grain: one row per account and day on which it changed or was opened, and one per order without an account.
-- An account counts once it is a customer's or has ordered. Whoever ordered without one is known by the
-- billing address for e-mail, whose hash is the number; the order is then the record.
-- An account without any stamp belongs to no day: every run meets it, and it stands on the newest one.
-- Tables: woocommerce/woocommerce at 40875d41297358c87ce4d7a9a8685ee3525acd18,
-- src/Internal/DataStores/Orders/OrdersTableDataStore.php; keys of accounts: at
-- 009a7772c33205ed19a384353cf1eb60599794c0, includes/data-stores/class-wc-customer-data-store.php;
-- WordPress/wordpress-develop at 01501ab4787d053da5eb1425696ec3363d3adf4c, src/wp-admin/includes/schema.php.
WITH users AS (
    SELECT
        u.id,
        CASE WHEN u.user_registered >= '1900-01-01' THEN u.user_registered END AS registered_at,
        (
            SELECT max(from_unixtime(cast(m.meta_value AS unsigned)))
            FROM %(prefix)susermeta AS m
            WHERE m.user_id = u.id AND m.meta_key = 'last_update' AND m.meta_value RLIKE '^[0-9]{9,10}$'
        ) AS changed_at
    FROM %(prefix)susers AS u
    WHERE
        EXISTS (
            SELECT 1 FROM %(prefix)swc_orders AS o
            WHERE o.customer_id = u.id
        )
        OR EXISTS (
            SELECT 1 FROM %(prefix)susermeta AS m
            WHERE
                m.user_id = u.id
                AND m.meta_key = '%(prefix)scapabilities'
                AND m.meta_value LIKE '%%"customer"%%'
        )
),

stamped AS (
    SELECT
        id,
        registered_at,
        greatest(coalesce(changed_at, registered_at), coalesce(registered_at, changed_at)) AS updated_at
    FROM users
),

days AS (
    SELECT
        s.id,
        s.updated_at AS at,
        s.registered_at,
        s.updated_at
    FROM stamped AS s
    WHERE (s.updated_at >= %(start)s AND s.updated_at < %(end)s) OR s.updated_at IS NULL
    UNION ALL
    SELECT
        s.id,
        s.registered_at AS at,
        s.registered_at,
        s.updated_at
    FROM stamped AS s
    WHERE
        s.registered_at >= %(start)s
        AND s.registered_at < %(end)s
        AND date(s.registered_at) < date(s.updated_at)
)

SELECT
    d.at AS _partition,
    cast(d.id AS char) AS customer_number,
    (
        SELECT
            coalesce(
                max(CASE WHEN m.meta_key = 'billing_first_name' THEN nullif(m.meta_value, '') END),
                max(m.meta_value)
            )
        FROM %(prefix)susermeta AS m
        WHERE m.user_id = d.id AND m.meta_key IN ('billing_first_name', 'first_name')
    ) AS first_name,
    (
        SELECT
            coalesce(
                max(CASE WHEN m.meta_key = 'billing_last_name' THEN nullif(m.meta_value, '') END),
                max(m.meta_value)
            )
        FROM %(prefix)susermeta AS m
        WHERE m.user_id = d.id AND m.meta_key IN ('billing_last_name', 'last_name')
    ) AS last_name,
    NULL AS birthday,
    NULL AS age_band,
    NULL AS income_band,
    NULL AS home_ownership,
    NULL AS marital_status,
    NULL AS household_size,
    NULL AS household_composition,
    NULL AS kids_count,
    'web' AS home_store_id,
    NULL AS store_distance_km,
    d.registered_at,
    d.updated_at
FROM days AS d
UNION ALL
SELECT
    o.date_created_gmt AS _partition,
    concat('guest-', left(sha2(lower(trim(o.billing_email)), 256), 24))
        AS customer_number,
    a.first_name,
    a.last_name,
    NULL AS birthday,
    NULL AS age_band,
    NULL AS income_band,
    NULL AS home_ownership,
    NULL AS marital_status,
    NULL AS household_size,
    NULL AS household_composition,
    NULL AS kids_count,
    'web' AS home_store_id,
    NULL AS store_distance_km,
    (
        SELECT min(f.date_created_gmt)
        FROM %(prefix)swc_orders AS f
        WHERE
            f.billing_email = o.billing_email
            AND f.type = 'shop_order'
            AND coalesce(f.customer_id, 0) = 0
            AND f.status NOT IN (
                'wc-pending', 'wc-cancelled', 'wc-failed', 'wc-checkout-draft', 'auto-draft', 'draft', 'trash'
            )
    ) AS registered_at,
    o.date_created_gmt AS updated_at
FROM %(prefix)swc_orders AS o
LEFT JOIN %(prefix)swc_order_addresses AS a ON o.id = a.order_id AND a.address_type = 'billing'
WHERE
    o.type = 'shop_order'
    AND coalesce(o.customer_id, 0) = 0
    AND trim(o.billing_email) NOT IN ('', 'deleted@site.invalid')
    AND o.status NOT IN (
        'wc-pending', 'wc-cancelled', 'wc-failed', 'wc-checkout-draft', 'auto-draft', 'draft', 'trash'
    )
    AND o.date_created_gmt >= %(start)s
    AND o.date_created_gmt < %(end)s
