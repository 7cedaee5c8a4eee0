-- Grain: one row per article paid back that day, whether it came back or not.
-- A refund is an order of its own type with negative items, or an amount alone. Of items that name a sum and
-- no pieces, as many count as the sum would have bought. An amount alone is spread over what was left of the
-- order, in the proportion that it has to what was left to be paid back; to the cent, the last line takes the
-- rest. Amounts are without tax, as those of the lines; shipping and fees that are paid back are no articles.
-- Tables: woocommerce/woocommerce at 40875d41297358c87ce4d7a9a8685ee3525acd18,
-- src/Internal/DataStores/Orders/OrdersTableDataStore.php, and at aa094f1b8114883a86120cc48af22ebadd7b0784,
-- includes/class-wc-install.php; how refunds are made: at 01a5871bd7ad20981fe18d9429c1b407847a3e9e,
-- includes/wc-order-functions.php; their reason: at 09c02d737cf712ee84e9cd60aeadeadf8871e50c,
-- src/Internal/DataStores/Orders/OrdersTableRefundDataStore.php.
WITH refunds AS (
    SELECT
        r.id,
        r.date_created_gmt,
        -r.total_amount AS amount,
        o.id AS order_id,
        o.total_amount AS order_total,
        CASE
            WHEN o.customer_id > 0 THEN cast(o.customer_id AS char)
            WHEN trim(o.billing_email) NOT IN ('', 'deleted@site.invalid')
                THEN
                    concat('guest-', left(sha2(lower(trim(o.billing_email)), 256), 24))
        END AS customer_number,
        (
            SELECT max(m.meta_value)
            FROM %(prefix)swc_orders_meta AS m
            WHERE m.order_id = r.id AND m.meta_key = '_refund_reason'
        ) AS reason,
        exists(
            SELECT 1 FROM %(prefix)swoocommerce_order_items AS i
            WHERE i.order_id = r.id
        ) AS has_items
    FROM %(prefix)swc_orders AS r
    INNER JOIN %(prefix)swc_orders AS o ON r.parent_order_id = o.id
    WHERE
        r.type = 'shop_order_refund'
        AND r.status <> 'trash'
        AND o.type = 'shop_order'
        AND o.status NOT IN (
            'wc-pending', 'wc-cancelled', 'wc-failed', 'wc-checkout-draft', 'auto-draft', 'draft', 'trash'
        )
        AND ((r.date_created_gmt >= %(start)s AND r.date_created_gmt < %(end)s) OR r.date_created_gmt IS NULL)
),

-- Orders of which an amount alone was paid back, with all that was paid back of them by items.
spread AS (
    SELECT
        f.order_id,
        coalesce(sum(r.total_amount), 0) AS by_items
    FROM (
        SELECT DISTINCT order_id FROM refunds
        WHERE NOT has_items
    ) AS f
    LEFT JOIN %(prefix)swc_orders AS r
        ON
            f.order_id = r.parent_order_id
            AND r.type = 'shop_order_refund'
            AND r.status <> 'trash'
            AND EXISTS (
                SELECT 1 FROM %(prefix)swoocommerce_order_items AS i
                WHERE i.order_id = r.id
            )
    GROUP BY f.order_id
),

-- The pieces and the amount of each item: of refunds in the window, of their orders, and of all refunds of
-- orders whose rest is asked for.
items AS (
    SELECT
        i.order_id,
        i.order_item_id,
        max(CASE WHEN m.meta_key = '_refunded_item_id' THEN cast(m.meta_value AS unsigned) END)
            AS refunded_item,
        coalesce(
            max(CASE WHEN m.meta_key = '_variation_id' THEN nullif(m.meta_value, '0') END),
            max(CASE WHEN m.meta_key = '_product_id' THEN nullif(m.meta_value, '0') END)
        ) AS product_number,
        max(CASE WHEN m.meta_key = '_qty' THEN cast(m.meta_value AS decimal(20, 6)) END) AS quantity,
        max(CASE WHEN m.meta_key = '_line_total' THEN cast(m.meta_value AS decimal(26, 8)) END) AS total
    FROM (
        SELECT id AS order_id FROM refunds
        UNION DISTINCT
        SELECT order_id FROM refunds
        UNION DISTINCT
        SELECT r.id FROM spread AS s INNER JOIN %(prefix)swc_orders AS r ON s.order_id = r.parent_order_id
        WHERE r.type = 'shop_order_refund' AND r.status <> 'trash'
    ) AS f
    INNER JOIN
        %(prefix)swoocommerce_order_items AS i
        ON f.order_id = i.order_id AND i.order_item_type = 'line_item'
    INNER JOIN %(prefix)swoocommerce_order_itemmeta AS m ON i.order_item_id = m.order_item_id
    WHERE m.meta_key IN ('_refunded_item_id', '_product_id', '_variation_id', '_qty', '_line_total')
    GROUP BY i.order_id, i.order_item_id
),

rests AS (
    SELECT
        sold.order_id,
        sold.order_item_id,
        sold.product_number,
        sold.quantity + coalesce(back.quantity, 0) AS quantity,
        round(sold.total, 2) + coalesce(back.total, 0) AS total
    FROM spread AS s
    INNER JOIN items AS sold ON s.order_id = sold.order_id
    LEFT JOIN (
        SELECT
            refunded_item,
            sum(quantity) AS quantity,
            sum(round(total, 2)) AS total
        FROM items
        WHERE refunded_item IS NOT NULL
        GROUP BY refunded_item
    ) AS back ON sold.order_item_id = back.refunded_item
),

parts AS (
    SELECT
        f.id,
        x.order_item_id,
        x.product_number,
        x.quantity * least(f.amount / nullif(f.order_total + s.by_items, 0), 1) AS quantity,
        x.total * least(f.amount / nullif(f.order_total + s.by_items, 0), 1) AS total,
        sum(x.total * least(f.amount / nullif(f.order_total + s.by_items, 0), 1))
            OVER (PARTITION BY f.id ORDER BY x.order_item_id ASC) AS total_so_far
    FROM refunds AS f
    INNER JOIN spread AS s ON f.order_id = s.order_id
    INNER JOIN rests AS x ON f.order_id = x.order_id
    WHERE NOT f.has_items AND x.total > 0
)

SELECT
    f.date_created_gmt AS _partition,
    concat(f.id, '-', b.order_item_id) AS return_number,
    cast(f.order_id AS char) AS order_number,
    b.product_number,
    f.customer_number,
    CASE WHEN b.quantity < 0 THEN -b.quantity ELSE b.total * sold.quantity / nullif(-sold.total, 0) END
        AS quantity,
    -b.total AS refund,
    f.reason,
    f.date_created_gmt AS returned_at
FROM refunds AS f
INNER JOIN items AS b ON f.id = b.order_id
LEFT JOIN items AS sold ON b.refunded_item = sold.order_item_id
WHERE b.quantity < 0 OR b.total < 0
UNION ALL
SELECT
    f.date_created_gmt AS _partition,
    concat(f.id, '-', p.order_item_id) AS return_number,
    cast(f.order_id AS char) AS order_number,
    p.product_number,
    f.customer_number,
    p.quantity,
    round(p.total_so_far, 2) - round(p.total_so_far - p.total, 2) AS refund,
    f.reason,
    f.date_created_gmt AS returned_at
FROM parts AS p
INNER JOIN refunds AS f ON p.id = f.id
