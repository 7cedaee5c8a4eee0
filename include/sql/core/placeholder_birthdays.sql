-- One row per birthday that nobody gave: what a till or a form writes where the field may not stay empty, so
-- that far more customers share it than chance brings together. One in 500 of those with a birthday, and five
-- of them: of a million customers born within sixty years about 45 share each day.
SELECT
    i.birth_date,
    count(*) AS customers
FROM core.identities AS i
WHERE i.birth_date IS NOT NULL
GROUP BY i.birth_date
HAVING count(*) >= greatest(5, 0.002 * (SELECT count(k.birth_date) FROM core.identities AS k))
