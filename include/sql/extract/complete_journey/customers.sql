-- Grain: one row per customer and day on which the record changed or the customer registered.
-- A shop that changes records in place has lost the older state: a customer registered long ago and changed
-- yesterday must be found by a run for last year too, or the orders of that year would be nobody's. For the
-- same reason a day has the customers who ordered on it before the shop's record of them begins.
-- A row without updated_at belongs to no day: every run meets it, and it stands on the newest one.
WITH met AS (
    SELECT
        customer_number,
        updated_at AS met_at
    FROM customers
    WHERE (updated_at >= %(start)s AND updated_at < %(end)s) OR updated_at IS NULL
    UNION ALL
    SELECT
        customer_number,
        registered_at AS met_at
    FROM customers
    WHERE registered_at >= %(start)s AND registered_at < %(end)s AND updated_at IS NOT NULL
    UNION ALL
    SELECT
        o.customer_number,
        o.ordered_at AS met_at
    FROM orders AS o
    INNER JOIN customers AS c ON o.customer_number = c.customer_number
    WHERE
        o.ordered_at >= %(start)s
        AND o.ordered_at < %(end)s
        AND o.ordered_at < c.updated_at
        AND (c.registered_at IS NULL OR o.ordered_at < c.registered_at)
),

days AS (
    SELECT DISTINCT
        customer_number,
        (met_at AT TIME ZONE %(timezone)s)::date AS _partition
    FROM met
)

SELECT
    d._partition,
    c.customer_number,
    c.first_name,
    c.last_name,
    c.birthday,
    c.age_band,
    c.income_band,
    c.home_ownership,
    c.marital_status,
    c.household_size,
    c.household_composition,
    c.kids_count,
    c.home_store_id,
    c.store_distance_km,
    c.registered_at,
    c.updated_at
FROM days AS d
INNER JOIN customers AS c ON d.customer_number = c.customer_number
