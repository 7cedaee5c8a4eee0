-- Grain: one row per customer and state, of the customer's record or of the region of the home store.
-- A run for D knows the state with the newest valid_from before the end of D. Until the shop's second record
-- of a store its first one counts, so that a store recorded late has its region from the beginning.
WITH regions AS (
    SELECT
        s.store_id,
        s.region,
        CASE
            WHEN lag(s.valid_from) OVER w IS NULL THEN '-infinity'::timestamptz
            ELSE s.valid_from
        END AS holds_from,
        coalesce(lead(s.valid_from) OVER w, 'infinity'::timestamptz) AS holds_until
    FROM core.stores AS s
    WINDOW w AS (PARTITION BY s.store_id ORDER BY s.valid_from)
)

SELECT
    c.customer_id,
    c.account_id,
    greatest(c.valid_from, r.holds_from) AS valid_from,
    greatest(c.known_at, r.holds_from) AS known_at,
    c.registered_at,
    c.age_band,
    c.income_band,
    c.home_ownership,
    c.marital_status,
    c.household_size,
    c.household_composition,
    c.kids_count,
    c.home_store_id,
    c.store_distance_km,
    r.region
FROM core.customers AS c
LEFT JOIN regions AS r
    ON
        c.home_store_id = r.store_id
        AND c.valid_from < r.holds_until
        AND coalesce(c.valid_to, 'infinity'::timestamptz) > r.holds_from
