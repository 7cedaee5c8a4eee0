-- Grain: one row per answer a customer gave about a channel and purpose, for answers recorded in the window.
SELECT
    i.customer_id,
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
