-- Grain: one row per answer a customer gave about a channel and purpose, for answers recorded in the window.
-- An answer without yes or no is no: whoever cleared the answer has not agreed any longer.
SELECT
    i.customer_id,
    i.account_id,
    lower(btrim(r.channel)) AS channel,
    lower(btrim(r.purpose)) AS purpose,
    coalesce(r.granted, FALSE) AS answer,
    coalesce(r.granted, FALSE) AS granted,
    r.recorded_at AS valid_from,
    NULL::timestamptz AS valid_to,
    r.recorded_at AS known_at
FROM raw.consents AS r
LEFT JOIN numbers AS i ON r.customer_number = i.number
WHERE r._partition BETWEEN %(since)s AND %(until)s
