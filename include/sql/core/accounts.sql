-- Grain: one row per account whose record changed in the window.
-- Texts stay as they were given, without stray blanks: include/persons/identity.py compares them in its own
-- forms.
SELECT
    p.customer_id AS account_id,
    nullif(btrim(r.account_number), '') AS account_number,
    lower(btrim(r.system)) AS system,
    nullif(btrim(r.customer_number), '') AS owner_number,
    nullif(btrim(r.first_name), '') AS first_name,
    nullif(btrim(r.last_name), '') AS last_name,
    nullif(btrim(r.email), '') AS email,
    r.email_verified,
    nullif(btrim(r.phone), '') AS phone,
    nullif(btrim(r.loyalty_number), '') AS loyalty_number,
    h.author_id,
    r.updated_at AS known_at
FROM raw.accounts AS r
LEFT JOIN pseudonyms AS p ON r.account_number = p.external_id
LEFT JOIN authors AS h ON lower(btrim(r.handle)) = h.handle
WHERE r._partition BETWEEN %(since)s AND %(until)s
