-- One row per customer and channel with a recorded consent or contact point: what the guard needs to
-- know, as it was known at the end of the business day. Whoever is on the suppression list by now, has
-- refused beside the shop's answers, or has been deleted in the shop, is refused for every day. A yes that
-- holds only after `granted_by` is none yet. `customers` narrows it (NULL: everybody).
-- An answer about `all` is one about each channel. Of a person with several accounts each has to allow it.
WITH given AS (
    SELECT
        c.customer_id,
        c.account_id,
        s.channel,
        coalesce(c.answer, c.granted)
        AND NOT EXISTS (
            SELECT 1
            FROM ops.deleted_in_shop AS d
            WHERE
                d.table_name = 'core.consents'
                AND d.account_id = c.account_id
                AND d.channel = c.channel
                AND d.valid_from = c.valid_from
        ) AS answer,
        c.valid_from,
        c.known_at
    FROM core.consents AS c
    INNER JOIN (
        VALUES
        ('email', 'email'), ('sms', 'sms'), ('push', 'push'),
        ('all', 'email'), ('all', 'sms'), ('all', 'push')
    ) AS s (said, channel) ON c.channel = s.said
    WHERE
        c.purpose = 'marketing'
        AND c.valid_from < %(end)s
        AND c.known_at < %(end)s
        AND (NOT coalesce(c.answer, c.granted) OR c.valid_from <= %(granted_by)s)
        AND (
            %(customers)s::uuid[] IS NULL
            OR c.customer_id = any(%(customers)s::uuid[])
            OR c.account_id IN (
                SELECT d.account_id
                FROM core.identity_doubts AS d
                WHERE d.customer_id = any(%(customers)s::uuid[])
            )
        )
),

answers AS (
    SELECT DISTINCT ON (g.account_id, g.channel)
        g.customer_id,
        g.account_id,
        g.channel,
        g.answer,
        g.valid_from
    FROM given AS g
    ORDER BY g.account_id ASC, g.channel ASC, g.valid_from DESC, g.known_at DESC, g.answer ASC
),

consents AS (
    SELECT
        a.customer_id,
        a.channel,
        bool_and(a.answer) AS granted,
        max(a.valid_from) FILTER (WHERE a.answer) AS granted_at
    FROM answers AS a
    WHERE %(customers)s::uuid[] IS NULL OR a.customer_id = any(%(customers)s::uuid[])
    GROUP BY a.customer_id, a.channel
),

contacts AS (
    SELECT DISTINCT ON (p.customer_id, p.channel)
        p.customer_id,
        p.channel,
        nullif(p.address, '') IS NOT NULL
        AND NOT EXISTS (
            SELECT 1
            FROM ops.deleted_in_shop AS d
            WHERE
                d.table_name = 'core.contact_points'
                AND d.account_id = p.account_id
                AND d.channel = p.channel
                AND d.valid_from = p.valid_from
        ) AS has_contact,
        coalesce(p.verified, FALSE) AS verified,
        p.address_hash,
        p.valid_from
    FROM core.contact_points AS p
    WHERE
        p.valid_from < %(end)s
        AND p.known_at < %(end)s
        AND (%(customers)s::uuid[] IS NULL OR p.customer_id = any(%(customers)s::uuid[]))
    ORDER BY p.customer_id ASC, p.channel ASC, p.valid_from DESC, p.known_at DESC
),

-- Every account that a person has or may have: what it refused counts for the person.
accounts AS (
    SELECT
        l.customer_id,
        l.account_id
    FROM core.identity_links AS l
    WHERE %(customers)s::uuid[] IS NULL OR l.customer_id = any(%(customers)s::uuid[])
    UNION
    SELECT
        d.customer_id,
        d.account_id
    FROM core.identity_doubts AS d
    WHERE %(customers)s::uuid[] IS NULL OR d.customer_id = any(%(customers)s::uuid[])
    UNION
    SELECT
        c.customer_id,
        c.customer_id AS account_id
    FROM consents AS c
    UNION
    SELECT
        c.customer_id,
        c.customer_id AS account_id
    FROM contacts AS c
),

refusals AS (
    SELECT
        o.customer_id,
        a.channel,
        'infinity'::timestamptz AS refused_at
    FROM answers AS a
    INNER JOIN core.identity_doubts AS o ON a.account_id = o.account_id
    WHERE NOT a.answer
    UNION ALL
    SELECT
        o.customer_id,
        r.channel,
        r.refused_at
    FROM ops.refusals AS r
    INNER JOIN accounts AS o ON r.customer_id = o.account_id
),

-- Of an account that was found to be of somebody, also its person's: an opt-out may come after the merge.
suppressions AS (
    SELECT
        x.customer_id,
        x.channel,
        x.reason,
        x.recorded_at
    FROM ops.suppressions AS x
    UNION
    SELECT
        l.customer_id,
        x.channel,
        x.reason,
        x.recorded_at
    FROM ops.suppressions AS x
    INNER JOIN core.identity_links AS l ON x.customer_id = l.account_id
),

-- Addresses that nothing is sent to, unless whoever opted out has said yes again.
closed_addresses AS (
    SELECT
        x.address_hash,
        x.channel
    FROM ops.address_suppressions AS x
    WHERE
        (x.until IS NULL OR x.until > %(granted_by)s)
        AND (%(customers)s::uuid[] IS NULL OR x.address_hash IN (SELECT c.address_hash FROM contacts AS c))
        AND NOT (
            x.reason IN ('unsubscribed', 'refused')
            AND EXISTS (
                SELECT 1
                FROM core.consents AS y
                LEFT JOIN core.identity_links AS l ON x.customer_id = l.account_id
                WHERE
                    y.customer_id = coalesce(l.customer_id, x.customer_id)
                    AND y.channel IN (x.channel, 'all')
                    AND y.purpose = 'marketing'
                    AND coalesce(y.answer, y.granted)
                    AND y.valid_from > x.recorded_at
                    AND y.valid_from <= %(granted_by)s
            )
        )
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
            AND r.channel IN ('all', coalesce(consents.channel, contacts.channel))
            AND r.refused_at >= coalesce(consents.granted_at, '-infinity')
    ) AS granted,
    coalesce(contacts.has_contact, FALSE) AS has_contact,
    coalesce(contacts.verified, FALSE) AS verified,
    EXISTS (
        SELECT 1
        FROM suppressions AS x
        WHERE
            x.customer_id = coalesce(consents.customer_id, contacts.customer_id)
            AND x.channel IN ('all', coalesce(consents.channel, contacts.channel))
            AND NOT coalesce(
                CASE x.reason
                    WHEN 'unsubscribed' THEN consents.granted AND consents.granted_at > x.recorded_at
                    WHEN 'bounced' THEN contacts.verified AND contacts.valid_from > x.recorded_at
                END,
                FALSE
            )
    )
    OR EXISTS (
        SELECT 1
        FROM closed_addresses AS x
        WHERE x.address_hash = contacts.address_hash AND x.channel = contacts.channel
    ) AS suppressed
FROM consents
FULL JOIN contacts USING (customer_id, channel)
ORDER BY customer_id, channel
