-- One row: whether a coupon is the customer's again because its order fell through. The same order (number,
-- day and store) that redeemed it gives it back, and hears the same answer when it asks again. Reasons for
-- no: `unknown_code`, `not_redeemed` (by this order). Each answer is kept in ops.till_answers.
CREATE FUNCTION marketing.unredeem(
    code text, customer text, order_number text, day date, at timestamptz, store text DEFAULT NULL
) RETURNS TABLE (accepted boolean, reason text)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    number CONSTANT text := ops.order_said(unredeem.order_number);
    place CONSTANT text := ops.order_said(nullif(btrim(unredeem.store), ''));
    coupon marketing.coupon_triggers%ROWTYPE;
    answer text;
BEGIN
    IF unredeem.customer IS NULL OR unredeem.order_number IS NULL OR unredeem.day IS NULL OR unredeem.at IS NULL THEN
        RAISE EXCEPTION 'Expected code, customer, order_number, day and at; found one of them missing.'
            USING ERRCODE = 'null_value_not_allowed';
    END IF;
    SELECT t.* INTO coupon
    FROM marketing.coupon_triggers AS t
    WHERE t.trigger_id = marketing.coupon_of(unredeem.code, unredeem.customer)
    FOR UPDATE;
    IF coupon.trigger_id IS NULL THEN
        answer := 'unknown_code';
    ELSIF coupon.status = 'redeemed' AND coupon.redeemed_order = number
        AND coupon.redeemed_on = unredeem.day AND coupon.redeemed_store IS NOT DISTINCT FROM place
    THEN
        answer := 'given_back';
        UPDATE marketing.coupon_triggers AS t
        SET
            status = 'sent',
            redeemed_on = NULL,
            redeemed_at = NULL,
            redeemed_order = NULL,
            redeemed_store = NULL,
            discount_given = NULL,
            updated_at = unredeem.at
        WHERE t.trigger_id = coupon.trigger_id;
    ELSIF coupon.status <> 'redeemed' AND EXISTS (
        SELECT 1
        FROM ops.till_answers AS a
        WHERE a.trigger_id = coupon.trigger_id
            AND a.reason = 'given_back'
            AND a.order_number = number
            AND a.day = unredeem.day
            AND a.store IS NOT DISTINCT FROM place
    ) THEN
        answer := 'given_back';
    ELSE
        answer := 'not_redeemed';
    END IF;
    PERFORM ops.keep_answer(
        'unredeem', coupon.trigger_id, number, place, unredeem.day, answer = 'given_back', answer
    );
    RETURN QUERY SELECT answer = 'given_back', answer;
END;
$$;
