-- Grain: one row per customer with an order in the last 91 days: what was reduced, and what has no units.
SELECT
    s.customer_id,
    s.retail_discount_cents_13w::double precision
    / nullif(s.cents_13w + s.retail_discount_cents_13w, 0)::double precision
        AS retail_discount_share_13w,
    -- A shop may count its sales after the coupon, and a coupon be worth more than what is left to pay.
    least(s.coupon_discount_cents_13w::double precision, s.cents_13w) / nullif(s.cents_13w, 0)
        AS coupon_discount_share_13w,
    s.coupon_orders_13w::double precision / nullif(s.orders_13w, 0) AS coupon_order_share_13w,
    s.other_cents_13w::double precision / nullif(s.cents_13w, 0)::double precision
        AS other_share_13w
FROM (
    SELECT
        b.customer_id,
        count(*) AS orders_13w,
        count(*) FILTER (WHERE b.coupon_discount_cents > 0) AS coupon_orders_13w,
        sum(b.cents) AS cents_13w,
        sum(b.retail_discount_cents) AS retail_discount_cents_13w,
        sum(b.coupon_discount_cents) AS coupon_discount_cents_13w,
        sum(b.other_cents) AS other_cents_13w
    FROM order_amounts AS b
    WHERE b.age_days < 91
    GROUP BY b.customer_id
) AS s
