-- Grain: one row per known order, with what its lines add up to.
-- An order counts once however its lines look; two equal orders count twice.
SELECT
    o.order_id,
    o.customer_id,
    o.store_id,
    o.business_day,
    o.age_days,
    o.on_weekend,
    o.in_evening,
    coalesce(t.cents, 0) AS cents,
    coalesce(t.retail_discount_cents, 0) AS retail_discount_cents,
    coalesce(t.coupon_discount_cents, 0) AS coupon_discount_cents,
    coalesce(t.line_count, 0) AS line_count,
    coalesce(t.units, 0) AS units,
    coalesce(t.other_cents, 0)::bigint AS other_cents,
    1000 * coalesce(t.cents, 0)::double precision AS millicents,
    -- The weight that is left of a purchase at a half-life of two weeks; its roots are those of longer ones.
    power(0.5::double precision, o.age_days / 14.0::double precision) AS half_2w
FROM known_orders AS o
LEFT JOIN (
    SELECT
        l.order_id,
        sum(l.cents)::bigint AS cents,
        sum(l.retail_discount_cents)::bigint AS retail_discount_cents,
        sum(l.coupon_discount_cents)::bigint AS coupon_discount_cents,
        count(*) AS line_count,
        sum(l.quantity) FILTER (WHERE l.is_unit) AS units,
        sum(l.cents) FILTER (WHERE NOT l.is_unit) AS other_cents
    FROM known_lines AS l
    GROUP BY l.order_id
) AS t ON o.order_id = t.order_id
