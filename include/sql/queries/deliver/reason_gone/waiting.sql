-- One row per message: the person it is for by now, the day it was decided on, and what it is about.
SELECT
    m.message_id,
    coalesce(l.customer_id, m.customer_id) AS customer_id,
    m.as_of,
    d.about AS key,
    a.day
FROM unnest(%(messages)s::uuid[], %(days)s::date[]) AS a (message_id, day)
INNER JOIN marketing.messages AS m ON a.message_id = m.message_id
LEFT JOIN core.identity_links AS l ON m.customer_id = l.account_id
LEFT JOIN marketing.decisions AS d
    ON
        m.as_of = d.as_of
        AND m.customer_id = d.customer_id
        AND m.campaign = d.campaign
        AND m.period = d.period
