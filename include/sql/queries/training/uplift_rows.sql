-- Grain: one row per person, campaign and period that chance decided about, with what became of them and
-- what was known of them when it was decided. Parameters: as_of (date), window_days: only outcomes whose
-- window, so many days after the decision, had passed by then.
SELECT
    o.customer_id,
    o.campaign,
    o.decided_on,
    o.is_treated,
    o.propensity,
    o.spend_before,
    o.margin_after,
    f.recency_days,
    f.tenure_days,
    f.orders_13w,
    f.sales_13w,
    f.sales_4w,
    f.basket_mean_26w,
    f.products_13w,
    f.coupon_discount_share_13w,
    f.redemptions_total
FROM ml.campaign_outcomes AS o
INNER JOIN features.customer_features AS f ON o.customer_id = f.customer_id AND o.decided_on = f.as_of
WHERE o.decided_on <= %(as_of)s::date - %(window_days)s::integer
ORDER BY o.campaign, o.decided_on, o.customer_id, o.period
