-- One row per decision of another day that was sent or would have been: what caps and periods count. What a
-- person rejected counts for nothing, and neither does the control group of it. A decision belongs to the
-- person its account belongs to by now, so that no merge resets a cap.
SELECT
    coalesce(l.customer_id, d.customer_id) AS customer_id,
    d.as_of,
    d.campaign,
    d.period
FROM marketing.decisions AS d
LEFT JOIN marketing.stopped_offers AS s ON d.as_of = s.as_of AND d.campaign = s.campaign
LEFT JOIN core.identity_links AS l ON d.customer_id = l.account_id
WHERE d.as_of <> %(as_of)s AND d.decision IN ('send', 'control') AND s.campaign IS NULL
ORDER BY customer_id ASC, d.as_of ASC, d.campaign ASC
