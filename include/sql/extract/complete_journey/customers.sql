-- Grain: one row per customer and day on which the record changed or the customer registered.
-- A shop that changes records in place has lost the older state: a customer registered long ago and changed
-- yesterday must be found by a run for last year too, or the orders of that year would be nobody's. For the
-- same reason a day has the customers who ordered on it before the shop's record of them begins.
-- A row without updated_at belongs to no day: every run meets it, and it stands on the newest one.
WITH begun AS (
    SELECT
        customer_number,
        least(min(updated_at), min(registered_at)) AS begun_at
    FROM customers
    WHERE updated_at IS NOT NULL
    GROUP BY customer_number
),

-- Changes come first and are found without the orders: whether the table holds anybody is asked every day.
days AS (
    SELECT
        customer_number,
        (updated_at AT TIME ZONE %(timezone)s)::date AS _partition
    FROM customers
    WHERE (updated_at >= %(start)s AND updated_at < %(end)s) OR updated_at IS NULL
    UNION
    SELECT
        customer_number,
        (registered_at AT TIME ZONE %(timezone)s)::date AS _partition
    FROM customers
    WHERE registered_at >= %(start)s AND registered_at < %(end)s AND updated_at IS NOT NULL
    UNION ALL
    SELECT DISTINCT
        o.customer_number,
        (o.ordered_at AT TIME ZONE %(timezone)s)::date AS _partition
    FROM orders AS o
    INNER JOIN begun AS b ON o.customer_number = b.customer_number
    WHERE
        o.ordered_at >= %(start)s
        AND o.ordered_at < %(end)s
        AND o.ordered_at < b.begun_at
        AND (o.ordered_at AT TIME ZONE %(timezone)s)::date < (b.begun_at AT TIME ZONE %(timezone)s)::date
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
