-- One row per campaign: what other days have spent, and of it the part that falls into the days of the total
-- budget (starts_on to ends_on; NULL: no such budget). Of a coupon that was redeemed by as_of that is what it
-- really took off, of one that ran out unused nothing, both beside the message and all its parts; of what is
-- still open it is the expected cost. What was stopped before it left, and the control group, cost nothing.
WITH outcomes AS (
    SELECT
        d.campaign,
        d.as_of,
        CASE
            WHEN
                s.campaign IS NOT NULL
                -- Offered again on another day, and counted there.
                OR d.as_of <> t.as_of
                OR t.status IN ('rejected', 'cancelled', 'expired')
                THEN 0
            WHEN r.redeemed_on <= %(as_of)s::date THEN r.discount_given + m.price
            WHEN t.status = 'sent' AND t.valid_until < %(as_of)s::date THEN m.price
            ELSE d.cost_expected
        END AS cost
    FROM marketing.decisions AS d
    LEFT JOIN marketing.coupon_triggers AS t
        ON d.customer_id = t.customer_id AND d.campaign = t.campaign AND d.period = t.period
    LEFT JOIN marketing.stopped_offers AS s ON d.as_of = s.as_of AND d.campaign = s.campaign
    LEFT JOIN marketing.coupon_redemptions AS r ON t.trigger_id = r.trigger_id
    LEFT JOIN marketing.messages AS w ON t.trigger_id = w.trigger_id AND d.channel = w.channel
    LEFT JOIN LATERAL (
        SELECT coalesce((%(message_cost)s::jsonb ->> d.channel)::numeric, 0) * coalesce(w.parts, 1) AS price
    ) AS m ON TRUE
    WHERE d.as_of <> %(as_of)s::date AND d.decision = 'send'
)

SELECT
    o.campaign,
    sum(o.cost)::double precision AS spent,
    coalesce(
        sum(o.cost) FILTER (WHERE o.as_of BETWEEN %(starts_on)s::date AND %(ends_on)s::date), 0
    )::double precision AS spent_of_total
FROM outcomes AS o
GROUP BY o.campaign
ORDER BY o.campaign
