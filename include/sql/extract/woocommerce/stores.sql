-- Grain: one row: the web shop is one store with one region, since it has one stock.
-- It has always been there, and no table says so: the stamp is one before any shop of this kind.
SELECT
    s.updated_at AS _partition,
    'web' AS store_number,
    'web' AS region,
    s.updated_at
FROM (SELECT cast('2011-01-01 00:00:00' AS datetime) AS updated_at) AS s
WHERE s.updated_at >= %(start)s AND s.updated_at < %(end)s
