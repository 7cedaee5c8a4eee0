-- Grain: one row per customer and state of the record, for records that changed in the window.
-- A registration before 1900 or after 2261 stands for one that is not known.
SELECT
    i.customer_id,
    i.account_id,
    r.updated_at AS valid_from,
    NULL::timestamptz AS valid_to,
    r.updated_at AS known_at,
    CASE
        WHEN r.registered_at <@ tstzrange(%(earliest)s, %(beyond)s) THEN r.registered_at
        ELSE r.updated_at
    END AS registered_at,
    nullif(btrim(r.age_band), '') AS age_band,
    nullif(btrim(r.income_band), '') AS income_band,
    nullif(btrim(r.home_ownership), '') AS home_ownership,
    nullif(btrim(r.marital_status), '') AS marital_status,
    nullif(btrim(r.household_size), '') AS household_size,
    nullif(btrim(r.household_composition), '') AS household_composition,
    nullif(btrim(r.kids_count), '') AS kids_count,
    nullif(btrim(r.home_store_id), '') AS home_store_id,
    -- Of any size: PostgreSQL makes no double of what is beyond one, nor of what is nearly nothing.
    CASE
        WHEN abs(r.store_distance_km) > 1e300 AND r.store_distance_km <> 'NaN'
            THEN sign(r.store_distance_km) * 1e300
        ELSE round(r.store_distance_km, 9)
    END::double precision AS store_distance_km,
    CASE
        WHEN NOT r.registered_at <@ tstzrange(%(earliest)s, %(beyond)s) THEN ARRAY['impossible_registration']
    END AS flags
FROM raw.customers AS r
LEFT JOIN numbers AS i ON r.customer_number = i.number
WHERE r._partition BETWEEN %(since)s AND %(until)s
