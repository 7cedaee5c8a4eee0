-- Grain: one row per customer whose record changed in the window: who they are, apart from what they did.
-- Names lose stray blanks, and names typed in capitals get ordinary letters. A birthday that cannot be
-- read as YYYY-MM-DD, or that no living customer can have, is treated as unknown and flagged.
-- Only that form is read: PostgreSQL would also read 'today', which means something else every day.
-- One possible stamp of the record's two is enough, and of impossible ones the day on which the row stands:
-- without an identity all of a customer's orders would be nobody's.
WITH typed AS (
    SELECT
        r.customer_number,
        regexp_replace(btrim(r.first_name), '\s+', ' ', 'g') AS first_name,
        regexp_replace(btrim(r.last_name), '\s+', ' ', 'g') AS last_name,
        nullif(btrim(r.birthday), '') AS birthday,
        CASE
            WHEN btrim(r.birthday) ~ '^\d{4}-\d{2}-\d{2}$' AND pg_input_is_valid(btrim(r.birthday), 'date')
                THEN btrim(r.birthday)::date
        END AS birth_date,
        CASE WHEN r.updated_at <@ tstzrange(%(earliest)s, %(beyond)s) THEN r.updated_at END AS updated_at,
        CASE
            WHEN r.registered_at <@ tstzrange(%(earliest)s, %(beyond)s) THEN r.registered_at
        END AS registered_at,
        CASE
            WHEN r.updated_at IS NOT NULL THEN r._partition::timestamp AT TIME ZONE %(timezone)s
        END AS stood_at
    FROM raw.customers AS r
    WHERE r._partition BETWEEN %(since)s AND %(until)s
),

judged AS (
    SELECT
        t.*,
        coalesce(t.updated_at, t.registered_at, t.stood_at) AS known_at,
        t.birth_date BETWEEN '1900-01-01' AND (
            coalesce(t.registered_at, t.updated_at, t.stood_at) AT TIME ZONE %(timezone)s
        )::date AS is_plausible
    FROM typed AS t
)

SELECT
    p.customer_id,
    j.customer_number AS external_id,
    nullif(CASE WHEN j.first_name = upper(j.first_name) THEN initcap(j.first_name) ELSE j.first_name END, '')
        AS first_name,
    nullif(CASE WHEN j.last_name = upper(j.last_name) THEN initcap(j.last_name) ELSE j.last_name END, '')
        AS last_name,
    CASE WHEN j.is_plausible THEN j.birth_date END AS birth_date,
    array_remove(
        ARRAY[
            CASE WHEN j.birthday IS NOT NULL AND j.birth_date IS NULL THEN 'unreadable_birthday' END,
            CASE WHEN NOT j.is_plausible THEN 'implausible_birthday' END
        ],
        NULL
    ) AS flags,
    j.known_at
FROM judged AS j
LEFT JOIN pseudonyms AS p ON j.customer_number = p.external_id
