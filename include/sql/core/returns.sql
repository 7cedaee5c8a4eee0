-- Grain: one row per article returned in the window.
-- A refund in another currency is converted by the rate of its order, as staged in this batch or as it
-- stands; where the order is not known, or was in another currency still, by the rate of the day it was paid.
WITH given AS (
    SELECT
        nullif(btrim(r.return_number), '') AS return_id,
        nullif(btrim(r.order_number), '') AS order_id,
        nullif(btrim(r.product_number), '') AS product_id,
        i.customer_id,
        i.account_id,
        coalesce(btrim(r.customer_number), '') = '' AS guest,
        r.quantity,
        r.refund,
        nullif(upper(btrim(r.currency)), '') AS stated,
        nullif(lower(btrim(r.reason)), '') AS reason,
        r.returned_at,
        r._partition AS business_day
    FROM raw.returns AS r
    LEFT JOIN numbers AS i ON r.customer_number = i.number
    WHERE r._partition BETWEEN %(since)s AND %(until)s
),

ordered AS (
    SELECT
        g.*,
        CASE WHEN s.order_id IS NULL THEN k.customer_id ELSE s.customer_id END AS order_customer,
        CASE WHEN s.order_id IS NULL THEN k.account_id ELSE s.account_id END AS order_account,
        CASE WHEN s.order_id IS NULL THEN k.currency ELSE s.currency END AS order_currency,
        CASE WHEN s.order_id IS NULL THEN k.exchange_rate ELSE s.exchange_rate END AS order_rate
    FROM given AS g
    LEFT JOIN orders AS s ON g.order_id = s.order_id
    LEFT JOIN core.orders AS k ON g.order_id = k.order_id
),

priced AS (
    SELECT
        o.*,
        coalesce(o.stated, CASE WHEN o.order_rate IS NOT NULL THEN o.order_currency END) AS currency,
        CASE
            WHEN coalesce(o.stated, o.order_currency) = o.order_currency THEN o.order_rate
            WHEN o.stated <> %(currency)s THEN coalesce(k.exchange_rate, d.rate)
        END AS exchange_rate
    FROM ordered AS o
    LEFT JOIN day_rates AS d ON o.stated = d.currency AND o.business_day = d.business_day
    LEFT JOIN core.returns AS k
        ON
            o.return_id = k.return_id
            AND o.business_day = k.business_day
            AND o.stated = k.currency
)

SELECT
    p.return_id,
    p.order_id,
    p.product_id,
    CASE WHEN p.guest THEN p.order_customer ELSE p.customer_id END AS customer_id,
    CASE WHEN p.guest THEN p.order_account ELSE p.account_id END AS account_id,
    p.guest,
    p.quantity,
    coalesce(round(p.refund * p.exchange_rate, %(decimals)s), p.refund) AS refund,
    p.currency,
    CASE WHEN p.exchange_rate IS NOT NULL THEN p.refund END AS original_refund,
    p.exchange_rate,
    NULL::numeric AS cancelled_quantity,
    p.reason,
    p.returned_at,
    p.business_day
FROM priced AS p
