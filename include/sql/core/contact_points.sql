-- Grain: one row per customer, channel and address, for addresses recorded in the window.
-- An account that leads to nobody keeps its rows under its own number.
-- E-mail addresses are trimmed and in small letters; telephone numbers keep + and digits alone; the tokens of
-- devices keep their letters.
SELECT
    coalesce(i.customer_id, i.account_id) AS customer_id,
    i.account_id,
    lower(btrim(r.channel)) AS channel,
    nullif(
        CASE lower(btrim(r.channel))
            WHEN 'sms' THEN regexp_replace(r.address, '[\s().-]', '', 'g')
            WHEN 'push' THEN btrim(r.address)
            ELSE lower(btrim(r.address))
        END,
        ''
    ) AS address,
    r.verified,
    r.updated_at AS valid_from,
    NULL::timestamptz AS valid_to,
    r.updated_at AS known_at
FROM raw.contact_points AS r
LEFT JOIN numbers AS i ON r.customer_number = i.number
WHERE r._partition BETWEEN %(since)s AND %(until)s
