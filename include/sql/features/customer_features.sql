-- Grain: one row per customer known by the end of as_of.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of), timezone.
-- A name without a schema is the file of that name in customer_features/: what was known of the day
-- (observed, household, known_..., order_amounts, products_bought, population), and one file a theme.
-- All of it reads core only, and of core only what was known before the end of as_of, so the same text
-- gives the features of any past day, whatever was corrected since. Here stands what a customer without
-- rows of a theme gets: none of what is counted or summed, and nothing where there is nothing to average.
SELECT
    m.as_of,
    p.customer_id,
    m.observed_days,
    v.first_order_day,
    v.last_order_day,
    v.recency_days,
    v.tenure_days,
    coalesce(v.orders_total, 0)::integer AS orders_total,
    coalesce(v.orders_1w, 0)::integer AS orders_1w,
    coalesce(v.orders_2w, 0)::integer AS orders_2w,
    coalesce(v.orders_4w, 0)::integer AS orders_4w,
    coalesce(v.orders_8w, 0)::integer AS orders_8w,
    coalesce(v.orders_13w, 0)::integer AS orders_13w,
    coalesce(v.orders_26w, 0)::integer AS orders_26w,
    coalesce(c.order_days_total, 0)::integer AS order_days_total,
    coalesce(c.order_days_4w, 0)::integer AS order_days_4w,
    coalesce(c.order_days_13w, 0)::integer AS order_days_13w,
    coalesce(s.sales_total, 0) AS sales_total,
    coalesce(s.sales_1w, 0) AS sales_1w,
    coalesce(s.sales_2w, 0) AS sales_2w,
    coalesce(s.sales_4w, 0) AS sales_4w,
    coalesce(s.sales_8w, 0) AS sales_8w,
    coalesce(s.sales_13w, 0) AS sales_13w,
    coalesce(s.sales_26w, 0) AS sales_26w,
    coalesce(s.sales_per_week_total, 0) AS sales_per_week_total,
    coalesce(s.sales_per_week_26w, 0) AS sales_per_week_26w,
    coalesce(v.orders_per_week_26w, 0) AS orders_per_week_26w,
    coalesce(s.sales_decay_2w, 0) AS sales_decay_2w,
    coalesce(s.sales_decay_4w, 0) AS sales_decay_4w,
    coalesce(s.sales_decay_8w, 0) AS sales_decay_8w,
    coalesce(s.sales_decay_16w, 0) AS sales_decay_16w,
    coalesce(s.sales_decay_32w, 0) AS sales_decay_32w,
    coalesce(v.orders_decay_4w, 0) AS orders_decay_4w,
    coalesce(v.orders_decay_16w, 0) AS orders_decay_16w,
    coalesce(b.basket_mean_26w, 0) AS basket_mean_26w,
    b.basket_sd_26w,
    coalesce(b.basket_max_13w, 0) AS basket_max_13w,
    coalesce(b.lines_per_basket_26w, 0) AS lines_per_basket_26w,
    coalesce(b.units_13w, 0) AS units_13w,
    c.gap_mean_days,
    c.gap_sd_days,
    c.gap_median_days,
    c.gap_median_13w_days,
    c.gap_p90_days,
    c.gap_last_days,
    c.gaps_since_last,
    coalesce(r.active_weeks_4w, 0)::integer AS active_weeks_4w,
    coalesce(r.active_weeks_13w, 0)::integer AS active_weeks_13w,
    coalesce(r.active_week_share_26w, 0) AS active_week_share_26w,
    coalesce(r.root_sales_per_week_13w, 0) AS root_sales_per_week_13w,
    coalesce(r.root_sales_per_week_26w, 0) AS root_sales_per_week_26w,
    coalesce(r.week_max_13w, 0) AS week_max_13w,
    r.week_variation_13w,
    r.trend_13w,
    coalesce(s.trend_4w_to_13w, 1) AS trend_4w_to_13w,
    coalesce(br.products_13w, 0)::integer AS products_13w,
    coalesce(br.repeat_products_13w, 0)::integer AS repeat_products_13w,
    coalesce(br.categories_13w, 0)::integer AS categories_13w,
    coalesce(br.departments_13w, 0)::integer AS departments_13w,
    coalesce(st.stores_13w, 0)::integer AS stores_13w,
    br.private_share_13w,
    d.other_share_13w,
    d.retail_discount_share_13w,
    d.coupon_discount_share_13w,
    d.coupon_order_share_13w,
    ha.weekend_share_26w,
    ha.evening_share_26w,
    coalesce(cm.campaigns_total, 0)::integer AS campaigns_total,
    coalesce(cm.campaigns_13w, 0)::integer AS campaigns_13w,
    coalesce(rd.redemptions_total, 0)::integer AS redemptions_total,
    coalesce(rd.redemptions_13w, 0)::integer AS redemptions_13w,
    h.age_band,
    h.income_band,
    h.household_size,
    h.kids_count,
    h.home_ownership,
    h.marital_status,
    h.region,
    h.registered_days,
    coalesce(e.events_4w, 0)::integer AS events_4w,
    coalesce(e.browsed_13w, 0)::integer AS browsed_13w,
    coalesce(e.carted_13w, 0)::integer AS carted_13w,
    coalesce(e.followed_13w, 0)::integer AS followed_13w,
    coalesce(e.wished_13w, 0)::integer AS wished_13w,
    e.browse_to_buy_13w,
    coalesce(rv.reviews_total, 0)::integer AS reviews_total,
    rv.rating_mean,
    rv.review_sentiment_mean,
    coalesce(mt.mentions_26w, 0)::integer AS mentions_26w,
    mt.mention_sentiment_mean_26w,
    rt.return_share_26w,
    coalesce(dv.deliveries_26w, 0)::integer AS deliveries_26w,
    dv.delivery_delay_hours_26w,
    dv.late_delivery_share_26w,
    h.store_distance_km
FROM population AS p
CROSS JOIN observed AS m
LEFT JOIN household AS h ON p.customer_id = h.customer_id
LEFT JOIN visits AS v ON p.customer_id = v.customer_id
LEFT JOIN spend AS s ON p.customer_id = s.customer_id
LEFT JOIN basket AS b ON p.customer_id = b.customer_id
LEFT JOIN habits AS ha ON p.customer_id = ha.customer_id
LEFT JOIN cadence AS c ON p.customer_id = c.customer_id
LEFT JOIN regularity AS r ON p.customer_id = r.customer_id
LEFT JOIN breadth AS br ON p.customer_id = br.customer_id
LEFT JOIN stores AS st ON p.customer_id = st.customer_id
LEFT JOIN discounts AS d ON p.customer_id = d.customer_id
LEFT JOIN campaigns AS cm ON p.customer_id = cm.customer_id
LEFT JOIN redemptions AS rd ON p.customer_id = rd.customer_id
LEFT JOIN browsing AS e ON p.customer_id = e.customer_id
LEFT JOIN reviews AS rv ON p.customer_id = rv.customer_id
LEFT JOIN mentions AS mt ON p.customer_id = mt.customer_id
LEFT JOIN returns AS rt ON p.customer_id = rt.customer_id
LEFT JOIN deliveries AS dv ON p.customer_id = dv.customer_id
