-- One row per decision of another day that was sent or would have been: what caps and periods count.
SELECT
    customer_id,
    as_of,
    campaign,
    period
FROM marketing.decisions
WHERE as_of <> %(as_of)s AND decision IN ('send', 'control')
ORDER BY customer_id, as_of, campaign
