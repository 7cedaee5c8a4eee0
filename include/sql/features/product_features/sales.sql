-- Grain: one row per product ever sold: when, how much, at what price.
-- Parameters: as_of (date).
SELECT
    s.product_id,
    s.first_sold_day,
    s.last_sold_day,
    %(as_of)s::date - s.last_sold_day AS days_since_sold,
    s.units_4w::double precision AS units_4w,
    s.units_13w::double precision AS units_13w,
    s.cents_4w::double precision / 100 AS sales_4w,
    s.cents_13w::double precision / 100 AS sales_13w,
    s.cents_13w::double precision / 100 / nullif(s.units_13w, 0)::double precision AS price_13w,
    s.discount_cents_13w::double precision
    / nullif(s.cents_13w + s.discount_cents_13w, 0)::double precision AS discount_share_13w
FROM (
    SELECT
        l.product_id,
        min(l.business_day) AS first_sold_day,
        max(l.business_day) AS last_sold_day,
        sum(l.units) FILTER (WHERE l.age_days < 28) AS units_4w,
        sum(l.units) FILTER (WHERE l.age_days < 91) AS units_13w,
        sum(l.cents) FILTER (WHERE l.age_days < 28) AS cents_4w,
        sum(l.cents) FILTER (WHERE l.age_days < 91) AS cents_13w,
        sum(l.discount_cents) FILTER (WHERE l.age_days < 91) AS discount_cents_13w
    FROM known_lines AS l
    GROUP BY l.product_id
) AS s
