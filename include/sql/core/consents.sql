-- Grain: one row per answer a customer gave about a channel and purpose, for answers recorded in the window.
-- An account that leads to nobody keeps its rows under its own number.
SELECT
    coalesce(i.customer_id, i.account_id) AS customer_id,
    i.account_id,
    lower(btrim(r.channel)) AS channel,
    lower(btrim(r.purpose)) AS purpose,
    r.granted AS answer,
    r.granted,
    r.recorded_at AS valid_from,
    NULL::timestamptz AS valid_to,
    r.recorded_at AS known_at
FROM raw.consents AS r
LEFT JOIN numbers AS i ON r.customer_number = i.number
WHERE r._partition BETWEEN %(since)s AND %(until)s
