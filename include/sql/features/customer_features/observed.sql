-- Grain: one row, the business day and what rates of that day divide by.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of).
-- Rates are per week of observation: a window that reaches back before the shop's first day counts the weeks
-- that exist, or young histories would look poor. A decayed sum is divided by its decayed weeks.
SELECT
    o.as_of,
    o.observed_days,
    7.0::double precision / o.observed_days AS per_week_total,
    7.0::double precision / least(o.observed_days, 91) AS per_week_13w,
    7.0::double precision / least(o.observed_days, 182) AS per_week_26w,
    7 * (1 - power(h.half_day, 16)) / (1 - power(h.half_day, 16 * o.observed_days)) AS rate_2w,
    7 * (1 - power(h.half_day, 8)) / (1 - power(h.half_day, 8 * o.observed_days)) AS rate_4w,
    7 * (1 - power(h.half_day, 4)) / (1 - power(h.half_day, 4 * o.observed_days)) AS rate_8w,
    7 * (1 - power(h.half_day, 2)) / (1 - power(h.half_day, 2 * o.observed_days)) AS rate_16w,
    7 * (1 - h.half_day) / (1 - power(h.half_day, o.observed_days)) AS rate_32w
FROM (
    SELECT
        %(as_of)s::date AS as_of,
        coalesce(%(as_of)s::date - min(k.business_day) + 1, 1) AS observed_days
    FROM core.known_orders AS k
    WHERE
        k.business_day <= %(as_of)s::date
        AND k.known_from < %(end)s::timestamptz
        AND k.known_until >= %(end)s::timestamptz
) AS o
-- What a purchase keeps of its weight from one day to the next, at a half-life of 32 weeks.
CROSS JOIN (
    SELECT power(0.5::double precision, 1 / 224.0::double precision) AS half_day
) AS h
