-- Grain: one row per customer, channel and address, for addresses recorded in the window.
-- An account that leads to nobody keeps its rows under its own number.
-- Addresses stand in their one form (include/persons/addresses.py); one that was emptied is a row without.
SELECT
    coalesce(i.customer_id, i.account_id) AS customer_id,
    i.account_id,
    coalesce(w.meaning, lower(btrim(r.channel))) AS channel,
    a.address,
    a.address_hash,
    r.contact_id,
    r.verified,
    r.updated_at AS valid_from,
    NULL::timestamptz AS valid_to,
    r.updated_at AS known_at
FROM raw.contact_points AS r
LEFT JOIN numbers AS i ON r.customer_number = i.number
LEFT JOIN words AS w ON w.kind = 'channel' AND r.channel = w.given
LEFT JOIN addresses AS a ON r.address = a.given AND coalesce(r.channel, '') = a.word
WHERE r._partition BETWEEN %(since)s AND %(until)s
