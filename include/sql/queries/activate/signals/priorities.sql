-- One row per region and product that is not for everybody. Those published for the day before, so that
-- deciding and ranking stock never wait for one another.
SELECT
    s.region,
    s.product_id,
    s.promote_to
FROM marketing.stock_priorities AS s
WHERE s.as_of = %(as_of)s::date - 1 AND s.promote_to <> 'everybody'
