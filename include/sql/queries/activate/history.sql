-- One row per decision of another day that was sent or would have been: what caps and periods count. What a
-- person rejected counts for nothing, and neither does the control group of it; nor does what delivery
-- withdrew or let run out before it was ever handed over (after a first attempt it may have arrived, and
-- counts). What was offered again has its trigger on the later day, and counts there. A decision belongs to
-- the person its account belongs to by now, so that no merge resets a cap.
WITH void AS (
    SELECT
        d.customer_id,
        d.as_of,
        d.campaign,
        d.period
    FROM marketing.decisions AS d
    INNER JOIN marketing.coupon_triggers AS t
        ON d.customer_id = t.customer_id AND d.campaign = t.campaign AND d.period = t.period
    INNER JOIN marketing.messages AS m ON t.trigger_id = m.trigger_id
    WHERE
        d.decision = 'send'
        AND (
            d.as_of <> t.as_of
            OR (t.status IN ('cancelled', 'expired') AND m.status = 'cancelled' AND m.attempts = 0)
        )
)

SELECT
    coalesce(l.customer_id, d.customer_id) AS customer_id,
    d.as_of,
    d.campaign,
    d.period
FROM marketing.decisions AS d
LEFT JOIN marketing.stopped_offers AS s ON d.as_of = s.as_of AND d.campaign = s.campaign
LEFT JOIN core.identity_links AS l ON d.customer_id = l.account_id
LEFT JOIN void AS v
    ON d.customer_id = v.customer_id AND d.as_of = v.as_of AND d.campaign = v.campaign AND d.period = v.period
WHERE
    d.as_of <> %(as_of)s
    AND d.decision IN ('send', 'control')
    AND s.campaign IS NULL
    AND v.customer_id IS NULL
ORDER BY customer_id ASC, d.as_of ASC, d.campaign ASC
