-- One row per thing that is known of a customer, the newest first: the segment, moves between segments, what
-- every campaign decided and why, coupons, messages and what became of them. Where no campaign had the
-- customer as a candidate on the newest decided day, a row says so.
CREATE FUNCTION marketing.why(external_id text)
RETURNS TABLE (day date, what text, about text, outcome text, detail text)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH words (reason, said) AS (
        VALUES
        ('best_offer', 'the best offer for the customer, within the budgets'),
        ('exploration', 'chance chose it among what may be sent, so that effects can be learnt'),
        ('recent_complaint', 'the customer complained a short while ago'),
        ('open_return', 'a return of the customer is not settled yet'),
        ('out_of_stock', 'the product that it is about is out of stock'),
        ('kept_for_high_value', 'what there is of the product is kept for customers of a higher value'),
        ('control_group', 'the customer belongs to the control group, which is sent nothing'),
        ('better_offer', 'another campaign had a better offer on the day'),
        ('no_expected_gain', 'it was expected to cost more than it brings'),
        ('budget_spent', 'the budget went to offers that were expected to gain more'),
        ('frequency_cap', 'the customer has had as many messages as the caps allow'),
        ('too_soon', 'the campaign reached the customer a short while ago'),
        ('too_late', 'what it is about comes before a message could leave'),
        ('already_in_period', 'the campaign has reached the customer in this period'),
        ('no_consent', 'the customer has not agreed to messages by this channel'),
        ('no_contact_point', 'no address or number is known'),
        ('contact_not_verified', 'the address or number is not verified'),
        ('on_suppression_list', 'the customer unsubscribed, complained or could not be reached'),
        ('minor', 'the customer is too young'),
        ('age_unknown', 'the birthday that the shop gave cannot be right'),
        ('reason_gone', 'what the message was for had ended before it could leave'),
        ('stale', 'the day was decided too late for anything to be sent'),
        ('copy_failed', 'the message could not be written')
    ),

    decided AS (
        SELECT f.newest_day FROM marketing.freshness AS f WHERE f.table_name = 'marketing.decisions'
    ),

    story AS (
        SELECT
            s.as_of AS day,
            1 AS place,
            'segment'::text AS what,
            s.segment AS about,
            s.lifecycle || ', value ' || s.value_tier AS outcome,
            concat_ws(
                '; ',
                'worth ' || s.predicted_value || ' ' || s.currency || ' in ' || s.horizon_days || ' days',
                s.reason_1, s.reason_2, s.reason_3
            ) AS detail
        FROM marketing.current_customer_segments AS s
        WHERE s.external_id = why.external_id
        UNION ALL
        SELECT c.as_of, 2, 'move', c.segment_to, 'moved', 'from ' || c.segment_from || ', a week earlier'
        FROM marketing.segment_changes AS c
        WHERE c.external_id = why.external_id
        UNION ALL
        SELECT
            d.as_of, 3, 'decision', d.campaign, d.decision,
            coalesce(w.said, replace(d.decision_reason, '_', ' ')) || coalesce(' (' || d.channel || ')', '')
            || CASE
                WHEN d.decision = 'send' AND s.status IS NULL AND t.as_of <> d.as_of
                    THEN '; it never left and was offered again, decided for ' || t.as_of
                WHEN d.decision <> 'send' OR s.status IS NULL THEN ''
                WHEN s.status = 'rejected' THEN '; then a person rejected the campaign''s offers of the day'
                ELSE '; then nobody approved the campaign''s offers of the day in time'
            END
        FROM marketing.decisions AS d
        LEFT JOIN words AS w ON w.reason = d.decision_reason
        LEFT JOIN marketing.stopped_offers AS s ON s.as_of = d.as_of AND s.campaign = d.campaign
        LEFT JOIN marketing.coupon_triggers AS t
            ON t.customer_id = d.customer_id AND t.campaign = d.campaign AND t.period = d.period
        WHERE d.external_id = why.external_id
        UNION ALL
        SELECT
            coalesce(t.redeemed_on, t.as_of), 4, 'coupon', t.campaign, t.status,
            concat_ws(
                ', ',
                t.offer_title,
                'code ' || t.coupon_code,
                'valid ' || t.valid_from || ' to ' || t.valid_until,
                'took off ' || round(t.discount_given, coalesce(t.currency_decimals, 2)) || ' ' || t.currency || ' of order ' || t.redeemed_order
            )
        FROM marketing.coupon_triggers AS t
        WHERE t.external_id = why.external_id
        UNION ALL
        SELECT
            coalesce(m.sent_at::date, m.as_of), 5, 'message', m.campaign, m.status,
            concat_ws(
                ', ',
                m.channel,
                'sent ' || to_char(m.sent_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI UTC'),
                coalesce(w.said, m.error),
                m.feedback
            )
        FROM marketing.messages AS m
        LEFT JOIN words AS w ON w.reason = m.error
        WHERE m.external_id = why.external_id
        UNION ALL
        SELECT
            n.newest_day, 6, 'decision', 'every campaign', 'no candidate',
            'no campaign looks for a customer like this on the day, or each one is over'
        FROM decided AS n
        WHERE
            EXISTS (
                SELECT 1 FROM marketing.current_customer_segments AS s
                WHERE s.external_id = why.external_id
            )
            AND NOT EXISTS (
                SELECT 1 FROM marketing.decisions AS d
                WHERE d.external_id = why.external_id AND d.as_of = n.newest_day
            )
    )

    SELECT s.day, s.what, s.about, s.outcome, s.detail
    FROM story AS s
    ORDER BY s.day DESC, s.place, s.about;
END;
$$;
