-- Grain: one row per customer, campaign and period that chance decided about, its outcome window passed.
-- A customer is the person that the account decided for belongs to by now, where all its purchases are. Of
-- several accounts the first that was decided for counts, with the arm that it was drawn into.
-- Parameters: as_of (date), "end" (timestamptz, first instant after as_of), timezone, window_days (outcome:
-- the days after the decision), before_days (covariate: the days up to it), measured_days (how far back
-- decisions are measured), message_cost (of each channel, of a part where it sends in parts, as JSON).
-- Every figure is of a window that ends at or before as_of, whichever day asks: runs may overtake each other.
-- A day of a campaign that nobody was let through (rejected, or never approved) treated nobody and is left
-- out.
WITH stopped AS (
    SELECT
        t.campaign,
        t.as_of AS decided_on
    FROM marketing.coupon_triggers AS t
    GROUP BY t.campaign, t.as_of
    HAVING bool_and(t.status IN ('rejected', 'awaiting_approval'))
    UNION
    -- What was rejected and offered again on another day has its triggers there.
    SELECT
        o.campaign,
        o.as_of AS decided_on
    FROM marketing.stopped_offers AS o
),

chosen AS MATERIALIZED (
    SELECT DISTINCT ON (coalesce(l.customer_id, d.customer_id), d.campaign, d.period)
        coalesce(l.customer_id, d.customer_id) AS customer_id,
        d.customer_id AS decided_for,
        d.campaign,
        d.period,
        d.as_of AS decided_on,
        d.segment,
        d.offer,
        d.channel,
        d.decision = 'send' AS is_treated,
        d.propensity,
        d.cost_expected
    FROM marketing.decisions AS d
    LEFT JOIN stopped AS s ON d.campaign = s.campaign AND d.as_of = s.decided_on
    LEFT JOIN core.identity_links AS l ON d.customer_id = l.account_id
    WHERE
        s.campaign IS NULL
        AND d.decision IN ('send', 'control')
        AND d.propensity > 0
        AND d.propensity < 1
        AND d.as_of <= %(as_of)s::date - %(window_days)s::integer
        AND d.as_of > %(as_of)s::date - %(window_days)s::integer - %(measured_days)s::integer
    ORDER BY
        coalesce(l.customer_id, d.customer_id) ASC, d.campaign ASC, d.period ASC, d.as_of ASC,
        d.customer_id ASC
),

people_days AS (
    SELECT DISTINCT
        c.customer_id,
        c.decided_on
    FROM chosen AS c
),

margins AS (
    SELECT DISTINCT ON (p.product_id)
        p.product_id,
        p.unit_margin
    FROM core.products AS p
    WHERE p.valid_from < %(end)s::timestamptz AND p.known_at < %(end)s::timestamptz
    ORDER BY p.product_id ASC, p.valid_from DESC, p.known_at DESC
),

spending AS (
    SELECT
        c.customer_id,
        c.decided_on,
        sum(l.net) FILTER (WHERE l.business_day <= c.decided_on) AS spend_before,
        sum(l.net) FILTER (WHERE l.business_day > c.decided_on) AS spend_after,
        count(DISTINCT l.order_id) FILTER (WHERE l.business_day > c.decided_on)::integer AS orders_after,
        sum(l.net * coalesce(m.unit_margin, 0)) FILTER (WHERE l.business_day > c.decided_on)
            AS margin_after
    FROM people_days AS c
    INNER JOIN (
        SELECT
            o.order_id,
            o.customer_id,
            o.product_id,
            o.business_day,
            o.sales - coalesce(o.cancelled_sales, 0) AS net
        FROM core.order_lines AS o
        WHERE (o.cancelled_quantity < o.quantity) IS NOT FALSE
    ) AS l
        ON
            c.customer_id = l.customer_id
            AND c.decided_on + %(window_days)s::integer >= l.business_day
            AND c.decided_on - %(before_days)s::integer < l.business_day
    LEFT JOIN margins AS m ON l.product_id = m.product_id
    GROUP BY c.customer_id, c.decided_on
),

sent AS (
    SELECT
        c.customer_id,
        c.campaign,
        c.period,
        coalesce(max(m.parts), 1) AS parts
    FROM chosen AS c
    INNER JOIN marketing.messages AS m
        ON c.decided_for = m.customer_id AND c.campaign = m.campaign AND c.period = m.period
    WHERE
        c.is_treated
        AND m.status = 'sent'
        AND (m.sent_at AT TIME ZONE %(timezone)s)::date <= c.decided_on + %(window_days)s::integer
    GROUP BY c.customer_id, c.campaign, c.period
),

-- What came back of its message within the window.
heard AS (
    SELECT
        c.customer_id,
        c.campaign,
        c.period,
        bool_or(e.kind = 'bounced') AS is_bounced,
        bool_or(e.kind = 'unsubscribed') AS is_opted_out,
        bool_or(e.kind = 'complained') AS is_complained
    FROM chosen AS c
    INNER JOIN marketing.messages AS m
        ON c.decided_for = m.customer_id AND c.campaign = m.campaign AND c.period = m.period
    INNER JOIN ops.delivery_events AS e
        ON m.message_id = e.message_id OR (e.message_id IS NULL AND m.provider_id = e.provider_id)
    WHERE
        c.is_treated
        AND (e.occurred_at AT TIME ZONE %(timezone)s)::date <= c.decided_on + %(window_days)s::integer
    GROUP BY c.customer_id, c.campaign, c.period
),

-- A coupon counts as redeemed where the shop says so in its own records, or in ours.
redeemed AS (
    SELECT
        c.customer_id,
        c.campaign,
        c.period,
        r.discount_given
    FROM chosen AS c
    INNER JOIN marketing.coupon_redemptions AS r
        ON c.decided_for = r.customer_id AND c.campaign = r.campaign AND c.period = r.period
    WHERE
        c.is_treated
        AND c.decided_on < r.redeemed_on
        AND c.decided_on + %(window_days)s::integer >= r.redeemed_on
)

SELECT
    c.customer_id,
    c.campaign,
    c.period,
    c.decided_on,
    c.segment,
    c.offer,
    c.channel,
    c.is_treated,
    c.propensity,
    c.cost_expected,
    s.customer_id IS NOT NULL AS is_sent,
    r.customer_id IS NOT NULL AS is_redeemed,
    coalesce(r.discount_given, 0)::numeric(12, 2) AS discount_given,
    (
        coalesce(r.discount_given, 0)
        + CASE
            WHEN s.customer_id IS NULL THEN 0
            ELSE coalesce((%(message_cost)s::jsonb ->> c.channel)::numeric, 0) * s.parts
        END
    )::numeric(14, 4) AS cost,
    coalesce(h.is_bounced, FALSE) AS is_bounced,
    coalesce(h.is_opted_out, FALSE) AS is_opted_out,
    coalesce(h.is_complained, FALSE) AS is_complained,
    coalesce(p.spend_before, 0)::numeric(12, 2) AS spend_before,
    coalesce(p.spend_after, 0)::numeric(12, 2) AS spend_after,
    coalesce(p.orders_after, 0) AS orders_after,
    coalesce(p.margin_after, 0)::numeric(12, 2) AS margin_after
FROM chosen AS c
LEFT JOIN spending AS p ON c.customer_id = p.customer_id AND c.decided_on = p.decided_on
LEFT JOIN sent AS s ON c.customer_id = s.customer_id AND c.campaign = s.campaign AND c.period = s.period
LEFT JOIN heard AS h ON c.customer_id = h.customer_id AND c.campaign = h.campaign AND c.period = h.period
LEFT JOIN redeemed AS r ON c.customer_id = r.customer_id AND c.campaign = r.campaign AND c.period = r.period
ORDER BY c.decided_on, c.campaign, c.customer_id, c.period
