-- Grain: one row per customer whose record changed that day.
-- A row without updated_at belongs to no day: every run meets it, at the end of its window.
SELECT
    (
        coalesce(updated_at, %(end)s::timestamptz - interval '1 second') AT TIME ZONE %(timezone)s
    )::date AS _partition,
    customer_number,
    first_name,
    last_name,
    birthday,
    age_band,
    income_band,
    home_ownership,
    marital_status,
    household_size,
    household_composition,
    kids_count,
    home_store_id,
    store_distance_km,
    registered_at,
    updated_at
FROM customers
WHERE (updated_at >= %(start)s AND updated_at < %(end)s) OR updated_at IS NULL
