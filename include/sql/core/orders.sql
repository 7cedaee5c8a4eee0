-- Grain: one row per order placed in the window, as often as the shop sent it.
-- An order in another currency is converted once: by the newest rate that is known for its day, or by the one
-- that it stands with, whatever is said of rates later.
WITH given AS (
    SELECT
        nullif(btrim(r.order_number), '') AS order_id,
        i.customer_id,
        i.account_id,
        coalesce(btrim(r.customer_number), '') = '' AS guest,
        nullif(btrim(r.store_number), '') AS store_id,
        lower(btrim(r.channel)) AS channel,
        nullif(upper(btrim(r.currency)), '') AS currency,
        r.ordered_at,
        r._partition AS business_day,
        coalesce(r.updated_at, r.ordered_at) AS known_at
    FROM raw.orders AS r
    LEFT JOIN numbers AS i ON r.customer_number = i.number
    WHERE r._partition BETWEEN %(since)s AND %(until)s
)

SELECT
    g.order_id,
    g.customer_id,
    g.account_id,
    g.guest,
    g.store_id,
    g.channel,
    g.currency,
    CASE WHEN g.currency <> %(currency)s THEN coalesce(k.exchange_rate, d.rate) END AS exchange_rate,
    g.ordered_at,
    g.business_day,
    NULL::numeric AS cancelled_sales,
    NULL::text[] AS cancelled_by,
    NULL::timestamptz AS cancelled_at,
    g.known_at
FROM given AS g
LEFT JOIN day_rates AS d ON g.currency = d.currency AND g.business_day = d.business_day
LEFT JOIN core.orders AS k
    ON
        g.order_id = k.order_id
        AND g.business_day = k.business_day
        AND g.currency = k.currency
        AND k.exchange_rate IS NOT NULL
