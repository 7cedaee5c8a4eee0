-- Grain: one row per answer a customer gave about a channel and purpose, for answers recorded in the window.
-- An account that leads to nobody keeps its rows under its own number.
-- A yes has to name what it is for. A no counts however it is spelt: for every channel, and for marketing,
-- where its word is empty or means nothing that is known (include/contracts/words.py).
SELECT
    coalesce(i.customer_id, i.account_id) AS customer_id,
    i.account_id,
    CASE
        WHEN c.meaning IS NOT NULL THEN c.meaning
        WHEN r.granted THEN nullif(lower(btrim(r.channel)), '')
        ELSE 'all'
    END AS channel,
    CASE
        WHEN p.meaning IS NOT NULL THEN p.meaning
        WHEN r.granted THEN nullif(lower(btrim(r.purpose)), '')
        ELSE 'marketing'
    END AS purpose,
    r.consent_id,
    r.granted AS answer,
    r.granted,
    r.recorded_at AS valid_from,
    NULL::timestamptz AS valid_to,
    r.recorded_at AS known_at
FROM raw.consents AS r
LEFT JOIN numbers AS i ON r.customer_number = i.number
LEFT JOIN words AS c ON c.kind = 'channel' AND r.channel = c.given
LEFT JOIN words AS p ON p.kind = 'purpose' AND r.purpose = p.given
WHERE r._partition BETWEEN %(since)s AND %(until)s
