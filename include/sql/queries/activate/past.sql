-- One row per campaign: coupons whose days had passed by the end of the business day, sent and redeemed.
SELECT
    t.campaign,
    count(*) AS sent,
    count(*) FILTER (
        WHERE t.status = 'redeemed' OR EXISTS (
            SELECT 1 FROM core.redemptions AS r
            WHERE
                r.coupon_upc = t.coupon_code
                AND r.customer_id = t.customer_id
                AND r.business_day <= %(as_of)s
        )
    ) AS redeemed
FROM marketing.coupon_triggers AS t
WHERE t.coupon_code IS NOT NULL AND t.status IN ('sent', 'redeemed') AND t.valid_until <= %(as_of)s
GROUP BY t.campaign
ORDER BY t.campaign
