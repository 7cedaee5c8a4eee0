-- One row per marketing table: its newest published business day.
SELECT DISTINCT ON (p.table_name)
    p.table_name,
    p.partition AS newest_day,
    p.row_count,
    p.published_at,
    count(*) OVER (PARTITION BY p.table_name) AS days_published
FROM ops.publications AS p
WHERE p.table_name LIKE 'marketing.%'
ORDER BY p.table_name ASC, p.partition DESC
