-- Grain: one row per day of the window: what a piece costs and how many are bought, whatever the product.
-- Of the lines of that day and the 27 days before it, in steps of a tenth of a natural logarithm.
WITH counted AS (
    SELECT
        s.business_day,
        s.what,
        s.step,
        count(*) AS lines
    FROM (
        SELECT
            c.business_day,
            v.what,
            round(10 * v.value) / 10 AS step
        FROM comparable AS c
        CROSS JOIN LATERAL (VALUES ('price', c.price), ('pieces', c.pieces)) AS v (what, value)
        WHERE c.is_unit
        UNION ALL
        SELECT
            o.business_day,
            v.what,
            round(10 * v.value) / 10 AS step
        FROM core.order_lines AS o
        CROSS JOIN
            LATERAL (
                VALUES
                ('price', ln((o.sales / o.quantity)::double precision)),
                ('pieces', ln(o.quantity::double precision))
            ) AS v (what, value)
        WHERE
            o.is_unit AND o.quantity > 0 AND o.sales > 0
            AND o.business_day < %(since)s AND o.business_day >= %(since)s::date - 27
    ) AS s
    GROUP BY s.business_day, s.what, s.step
),

summed AS (
    SELECT
        d.business_day,
        c.what,
        c.step,
        sum(sum(c.lines)) OVER w AS up_to,
        sum(sum(c.lines)) OVER (PARTITION BY d.business_day, c.what) AS lines
    FROM counted AS c
    CROSS JOIN generate_series(0, 27) AS g (days)
    INNER JOIN (SELECT DISTINCT b.business_day FROM comparable AS b) AS d
        ON d.business_day = c.business_day + g.days
    GROUP BY d.business_day, c.what, c.step
    WINDOW w AS (PARTITION BY d.business_day, c.what ORDER BY c.step)
),

quartiles AS (
    SELECT
        s.business_day,
        s.what,
        min(s.step) FILTER (WHERE s.up_to >= 0.25 * s.lines) AS low,
        min(s.step) FILTER (WHERE s.up_to >= 0.5 * s.lines) AS middle,
        min(s.step) FILTER (WHERE s.up_to >= 0.75 * s.lines) AS high
    FROM summed AS s
    WHERE s.lines >= %(least_of_shop)s
    GROUP BY s.business_day, s.what
)

SELECT
    p.business_day,
    p.middle AS price,
    (p.high - p.low) / 1.349 AS price_spread,
    q.middle AS pieces,
    (q.high - q.low) / 1.349 AS pieces_spread
FROM quartiles AS p
INNER JOIN quartiles AS q ON p.business_day = q.business_day AND q.what = 'pieces'
WHERE p.what = 'price'
