-- One row per coupon trigger whose coupon was redeemed: told by the till through marketing.redeem, or by the
-- shop's own records, where the first redemption counts and the offer's terms say what it took off.
WITH told AS (
    SELECT DISTINCT ON (r.coupon_upc, r.customer_id)
        r.coupon_upc,
        r.customer_id,
        r.business_day
    FROM core.redemptions AS r
    ORDER BY r.coupon_upc ASC, r.customer_id ASC, r.business_day ASC
)

SELECT
    t.trigger_id,
    t.customer_id,
    t.external_id,
    t.campaign,
    t.period,
    t.as_of,
    coalesce(t.redeemed_on, told.business_day) AS redeemed_on,
    coalesce(
        t.discount_given,
        CASE t.discount_kind
            WHEN 'amount_off' THEN t.discount_value
            WHEN 'percent_off'
                THEN least(
                    t.discount_value * coalesce(bought.sales, 0), coalesce(t.discount_at_most, 'infinity')
                )
            ELSE 0
        END
    )::numeric(13, 3) AS discount_given,
    CASE WHEN t.discount_given IS NULL THEN 'records' ELSE 'till' END AS told_by,
    t.currency,
    t.policy_hash,
    t.model_version,
    t.run_id,
    t.updated_at
FROM marketing.coupon_triggers AS t
LEFT JOIN told ON t.coupon_code = told.coupon_upc AND t.customer_id = told.customer_id
LEFT JOIN LATERAL (
    SELECT sum(l.sales - coalesce(l.cancelled_sales, 0)) AS sales
    FROM core.order_lines AS l
    WHERE l.customer_id = t.customer_id AND l.business_day = told.business_day
) AS bought ON t.discount_kind = 'percent_off' AND t.discount_given IS NULL
WHERE
    t.coupon_code IS NOT NULL
    AND (t.status = 'redeemed' OR told.coupon_upc IS NOT NULL)
    AND coalesce(t.redeemed_on, told.business_day) IS NOT NULL
