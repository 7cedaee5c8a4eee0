-- Grain: one row per currency and quotation read in the window.
-- A rate is doubted where it is ten times more or less than most of the rates around it. Those that stand are
-- trusted first: a shop that turns its rates round one day is told each day, and not believed on the fifth.
WITH given AS (
    SELECT
        nullif(upper(btrim(r.currency)), '') AS currency,
        (r.quoted_at AT TIME ZONE %(timezone)s)::date AS valid_on,
        round(r.rate, 12) AS rate,
        r.quoted_at AS known_at
    FROM raw.exchange_rates AS r
    WHERE r._partition BETWEEN %(since)s AND %(until)s
),

days AS (
    SELECT DISTINCT ON (a.currency, a.valid_on)
        a.currency,
        a.valid_on,
        a.rate,
        a.stands
    FROM (
        SELECT
            currency,
            valid_on,
            rate,
            known_at,
            TRUE AS stands
        FROM core.exchange_rates
        UNION ALL
        SELECT
            currency,
            valid_on,
            rate,
            known_at,
            FALSE AS stands
        FROM given
        WHERE rate > 0 AND rate < 'Infinity' AND isfinite(valid_on)
    ) AS a
    ORDER BY a.currency ASC, a.valid_on ASC, a.stands DESC, a.known_at DESC, a.rate ASC
),

around AS (
    SELECT
        d.currency,
        d.valid_on,
        coalesce(array_agg(d.rate) FILTER (WHERE d.stands) OVER w, array_agg(d.rate) OVER w) AS rates
    FROM days AS d
    WINDOW w AS (
        PARTITION BY d.currency ORDER BY d.valid_on
        RANGE BETWEEN INTERVAL '31 days' PRECEDING AND INTERVAL '31 days' FOLLOWING EXCLUDE CURRENT ROW
    )
)

SELECT
    g.currency,
    g.valid_on,
    g.rate,
    g.known_at,
    CASE
        WHEN g.currency = %(currency)s AND g.rate <> 1 THEN 'wrong_base'
        WHEN k.rate = g.rate OR NOT (g.rate > 0 AND g.rate < 'Infinity') THEN NULL
        WHEN k.rate <> g.rate AND g.known_at >= k.known_at THEN 'rate_stands'
        WHEN
            (
                SELECT 2 * count(*) FILTER (WHERE g.rate NOT BETWEEN n.rate / 10 AND n.rate * 10) > count(*)
                FROM unnest(o.rates) AS n (rate)
            )
            THEN 'far_from_neighbours'
    END AS doubt
FROM given AS g
LEFT JOIN around AS o ON g.currency = o.currency AND g.valid_on = o.valid_on
LEFT JOIN core.exchange_rates AS k ON g.currency = k.currency AND g.valid_on = k.valid_on
