-- One row per campaign: expected cost of what other days sent, and of it the part that falls into the days of
-- the total budget (starts_on to ends_on; NULL: no such budget).
SELECT
    d.campaign,
    sum(d.cost_expected)::double precision AS spent,
    coalesce(
        sum(d.cost_expected) FILTER (WHERE d.as_of BETWEEN %(starts_on)s::date AND %(ends_on)s::date), 0
    )::double precision AS spent_of_total
FROM marketing.decisions AS d
WHERE d.as_of <> %(as_of)s AND d.decision IN ('send', 'control')
GROUP BY d.campaign
ORDER BY d.campaign
