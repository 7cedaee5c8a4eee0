-- One row per campaign of which an offer of another day was let through: it has had its first run. A campaign
-- whose first run was rejected, or still waits, has not.
SELECT DISTINCT campaign
FROM marketing.coupon_triggers
WHERE as_of <> %(as_of)s AND status IN ('approved', 'sent', 'redeemed')
ORDER BY campaign
