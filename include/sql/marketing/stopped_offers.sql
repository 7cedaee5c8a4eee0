-- One row per business day and campaign whose offers nobody let through: rejected, or not answered in time.
SELECT
    a.as_of,
    c.campaign,
    a.status,
    a.approval_id,
    a.policy_hash,
    a.run_id,
    a.updated_at
FROM marketing.approvals AS a
CROSS JOIN LATERAL unnest(a.campaigns) AS c (campaign)
WHERE a.status IN ('rejected', 'timed_out')
