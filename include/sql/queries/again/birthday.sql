-- One row per message whose customer's birthday is past, further off, or not known any more.
-- lead_days; leap_day: the day of whoever is born on 29 February, in years without one.
SELECT w.message_id
FROM waiting AS w
LEFT JOIN core.identities AS i ON w.customer_id = i.customer_id
WHERE
    NOT EXISTS (
        SELECT 1
        FROM (
            SELECT
                y.year,
                CASE
                    WHEN
                        to_char(i.birth_date, 'MM-DD') = '02-29'
                        AND extract(DAY FROM make_date(y.year, 3, 1) - 1) = 28
                        THEN %(leap_day)s
                    ELSE to_char(i.birth_date, 'MM-DD')
                END AS day
            FROM generate_series(
                extract(YEAR FROM w.day)::integer, extract(YEAR FROM w.day)::integer + 1
            ) AS y (year)
        ) AS b
        WHERE (b.year || '-' || b.day)::date BETWEEN w.day AND w.day + %(lead_days)s::integer
    )
