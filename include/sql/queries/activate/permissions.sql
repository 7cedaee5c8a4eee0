-- One row per customer and channel with a recorded consent or contact point: what the guard needs to
-- know, as it was known at the end of the business day. Whoever is on the suppression list by now is
-- refused for every day. A yes that holds only after `granted_by` is none yet. `customers` narrows it (NULL:
-- everybody).
WITH consents AS (
    SELECT DISTINCT ON (c.customer_id, c.channel)
        c.customer_id,
        c.channel,
        c.granted
    FROM core.consents AS c
    WHERE
        c.purpose = 'marketing'
        AND c.valid_from < %(end)s
        AND c.known_at < %(end)s
        AND (NOT c.granted OR c.valid_from <= %(granted_by)s)
        AND (%(customers)s::uuid[] IS NULL OR c.customer_id = any(%(customers)s::uuid[]))
    ORDER BY c.customer_id ASC, c.channel ASC, c.valid_from DESC, c.known_at DESC
),

contacts AS (
    SELECT DISTINCT ON (p.customer_id, p.channel)
        p.customer_id,
        p.channel,
        nullif(p.address, '') IS NOT NULL AS has_contact,
        coalesce(p.verified, FALSE) AS verified
    FROM core.contact_points AS p
    WHERE
        p.valid_from < %(end)s
        AND p.known_at < %(end)s
        AND (%(customers)s::uuid[] IS NULL OR p.customer_id = any(%(customers)s::uuid[]))
    ORDER BY p.customer_id ASC, p.channel ASC, p.valid_from DESC, p.known_at DESC
),

-- What an account that leads to nobody refused counts for everybody whose it may be.
refusals AS (
    SELECT
        d.customer_id,
        a.channel
    FROM core.identity_doubts AS d
    INNER JOIN (
        SELECT DISTINCT ON (c.account_id, c.channel)
            c.account_id,
            c.channel,
            coalesce(c.answer, c.granted) AS answer
        FROM core.consents AS c
        WHERE
            c.purpose = 'marketing'
            AND c.valid_from < %(end)s
            AND c.known_at < %(end)s
            AND (NOT coalesce(c.answer, c.granted) OR c.valid_from <= %(granted_by)s)
            AND c.account_id IN (SELECT account_id FROM core.identity_doubts)
        ORDER BY c.account_id ASC, c.channel ASC, c.valid_from DESC, c.known_at DESC
    ) AS a ON d.account_id = a.account_id
    WHERE
        NOT a.answer
        AND (%(customers)s::uuid[] IS NULL OR d.customer_id = any(%(customers)s::uuid[]))
)

SELECT
    customer_id,
    channel,
    coalesce(consents.granted, FALSE)
    AND NOT EXISTS (
        SELECT 1
        FROM refusals AS r
        WHERE
            r.customer_id = coalesce(consents.customer_id, contacts.customer_id)
            AND r.channel = coalesce(consents.channel, contacts.channel)
    ) AS granted,
    coalesce(contacts.has_contact, FALSE) AS has_contact,
    coalesce(contacts.verified, FALSE) AS verified,
    exists(
        SELECT 1
        FROM ops.suppressions AS x
        WHERE
            x.customer_id = coalesce(consents.customer_id, contacts.customer_id)
            AND x.channel IN ('all', coalesce(consents.channel, contacts.channel))
    ) AS suppressed
FROM consents
FULL JOIN contacts USING (customer_id, channel)
ORDER BY customer_id, channel
