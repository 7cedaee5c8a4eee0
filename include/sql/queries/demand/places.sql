-- Grain: one row per sales region and warehouse that serves it at the end of as_of.
-- Parameters: "end" (timestamptz, first instant after as_of).
SELECT
    w.region,
    w.place
FROM core.stock_places AS w
WHERE w.known_from < %(end)s::timestamptz AND w.known_until >= %(end)s::timestamptz
ORDER BY w.region, w.place
