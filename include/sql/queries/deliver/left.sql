-- One row per message that left, may have, or is leaving by another sender, for the customers or to the
-- mailboxes: its person, mailbox, campaign, class, and the day in the customer's time zone.
WITH near AS (
    SELECT m.message_id
    FROM marketing.messages AS m
    WHERE
        m.customer_id IN (
            SELECT l.account_id
            FROM core.identity_links AS l
            WHERE l.customer_id = any(%(customers)s::uuid[])
            UNION ALL
            SELECT unnest(%(customers)s::uuid[])
        )
    UNION
    SELECT m.message_id
    FROM marketing.messages AS m
    WHERE m.address_hash = any(%(mailboxes)s::uuid[])
)

SELECT
    coalesce(l.customer_id, m.customer_id) AS person_id,
    m.address_hash,
    m.campaign,
    m.cap_class,
    coalesce(
        (
            CASE
                WHEN m.status = 'claimed' THEN %(now)s
                ELSE coalesce(m.sent_at, t.sent_at)
            END
            AT TIME ZONE coalesce(m.time_zone, %(shop_zone)s)
        )::date,
        m.as_of + 1
    ) AS day
FROM near AS n
INNER JOIN marketing.messages AS m ON n.message_id = m.message_id
LEFT JOIN marketing.coupon_triggers AS t ON m.trigger_id = t.trigger_id
LEFT JOIN core.identity_links AS l ON m.customer_id = l.account_id
WHERE
    CASE
        WHEN m.status = 'claimed' THEN m.claimed_by <> %(claim)s
        ELSE m.status = 'sent' OR t.sent_at IS NOT NULL
    END
