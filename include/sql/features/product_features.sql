-- Grain: one row per product known or sold by the end of as_of.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of).
-- A name without a schema is the file of that name in product_features/. All of it reads core only, and of
-- core only what was known before the end of as_of. A product that the shop sells and does not list is taken
-- for one that it sells by the piece.
SELECT
    %(as_of)s::date AS as_of,
    p.product_id,
    n.department,
    n.category,
    n.type,
    n.brand,
    coalesce(n.is_unit, TRUE) AS is_unit,
    coalesce(n.active, TRUE) AS active,
    s.first_sold_day,
    s.last_sold_day,
    s.days_since_sold,
    coalesce(s.units_4w, 0) AS units_4w,
    coalesce(s.units_13w, 0) AS units_13w,
    coalesce(s.sales_4w, 0) AS sales_4w,
    coalesce(s.sales_13w, 0) AS sales_13w,
    s.price_13w,
    s.discount_share_13w,
    coalesce(b.buyers_13w, 0)::integer AS buyers_13w,
    coalesce(b.orders_13w, 0)::integer AS orders_13w,
    b.repeat_buyer_share_13w,
    coalesce(e.browsed_13w, 0)::integer AS browsed_13w,
    coalesce(e.carted_13w, 0)::integer AS carted_13w,
    coalesce(e.followed_13w, 0)::integer AS followed_13w,
    coalesce(r.reviews_total, 0)::integer AS reviews_total,
    r.rating_mean
FROM population AS p
LEFT JOIN known_products AS n ON p.product_id = n.product_id
LEFT JOIN sales AS s ON p.product_id = s.product_id
LEFT JOIN buyers AS b ON p.product_id = b.product_id
LEFT JOIN browsing AS e ON p.product_id = e.product_id
LEFT JOIN reviews AS r ON p.product_id = r.product_id
