-- Grain: one row per customer whose known handles spoke of the shop in the last 182 days.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of).
SELECT
    n.customer_id,
    count(*) AS mentions_26w,
    avg(n.sentiment::numeric)::double precision AS mention_sentiment_mean_26w
FROM core.known_mentions AS n
WHERE
    n.business_day BETWEEN %(as_of)s::date - 181 AND %(as_of)s::date
    AND n.known_from < %(end)s::timestamptz
    AND n.known_until >= %(end)s::timestamptz
    AND n.customer_id IS NOT NULL
GROUP BY n.customer_id
