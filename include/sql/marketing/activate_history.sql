-- One row per decision of another day that was sent or would have been: what caps and periods count. What a
-- person rejected counts for nothing, and neither does the control group of it.
SELECT
    d.customer_id,
    d.as_of,
    d.campaign,
    d.period
FROM marketing.decisions AS d
LEFT JOIN marketing.stopped_offers AS s ON d.as_of = s.as_of AND d.campaign = s.campaign
WHERE d.as_of <> %(as_of)s AND d.decision IN ('send', 'control') AND s.campaign IS NULL
ORDER BY d.customer_id, d.as_of, d.campaign
