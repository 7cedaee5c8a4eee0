-- One row: whether a shop may take a coupon off an order, and how much. A code counts once: the first order
-- that is asked for gets it, whoever asks at the same moment, and the same order (number, day and store) is
-- given the same answer however often it is asked for. `day` is the shop's own business day; it and `at` are
-- about now, by the shop's clock. Each answer is kept in ops.till_answers. Reasons for no: `unknown_code`
-- (also for a code of another customer; whoever tries many waits for the answer), `not_sent`,
-- `already_redeemed`, `order_of_another` (the order has redeemed a coupon of somebody else), `not_yet_valid`,
-- `expired`, `basket_too_small`, `wrong_clock`.
CREATE FUNCTION marketing.redeem(
    code text, customer text, order_number text, basket numeric, day date, at timestamptz,
    store text DEFAULT NULL
) RETURNS TABLE (accepted boolean, reason text, discount numeric, currency text)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    number CONSTANT text := ops.order_said(redeem.order_number);
    place CONSTANT text := ops.order_said(nullif(btrim(redeem.store), ''));
    coupon marketing.coupon_triggers%ROWTYPE;
    answer text;
    off numeric := 0;
BEGIN
    IF redeem.customer IS NULL OR redeem.order_number IS NULL OR redeem.basket IS NULL OR redeem.day IS NULL
        OR redeem.at IS NULL
    THEN
        RAISE EXCEPTION 'Expected code, customer, order_number, basket, day and at; found one of them missing.'
            USING ERRCODE = 'null_value_not_allowed';
    END IF;
    -- Not a number and infinity are greater than every minimum_spend.
    IF redeem.basket < 0 OR redeem.basket >= 'infinity' THEN
        RAISE EXCEPTION 'Expected a basket of 0 or more, found %.', redeem.basket
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT t.* INTO coupon
    FROM marketing.coupon_triggers AS t
    WHERE t.trigger_id = marketing.coupon_of(redeem.code, redeem.customer)
    FOR UPDATE;
    answer := CASE
        WHEN coupon.trigger_id IS NULL THEN 'unknown_code'
        WHEN coupon.status = 'redeemed' AND coupon.redeemed_order = number
            AND coupon.redeemed_on = redeem.day AND coupon.redeemed_store IS NOT DISTINCT FROM place
            THEN 'redeemed'
        WHEN coupon.status = 'redeemed' THEN 'already_redeemed'
        WHEN coupon.status <> 'sent' THEN 'not_sent'
        WHEN NOT ops.is_now(redeem.day, redeem.at) THEN 'wrong_clock'
        WHEN redeem.day < coupon.valid_from THEN 'not_yet_valid'
        WHEN redeem.day > coupon.valid_until THEN 'expired'
        WHEN redeem.basket < coupon.minimum_spend THEN 'basket_too_small'
        WHEN EXISTS (
            SELECT 1
            FROM marketing.coupon_triggers AS t
            LEFT JOIN core.identity_links AS o ON t.customer_id = o.account_id
            LEFT JOIN core.identity_links AS l ON l.account_id = coupon.customer_id
            WHERE t.redeemed_order = number
                AND t.redeemed_on = redeem.day
                AND t.redeemed_store IS NOT DISTINCT FROM place
                AND coalesce(o.customer_id, t.customer_id) <> coalesce(l.customer_id, coupon.customer_id)
        ) THEN 'order_of_another'
    END;
    IF answer IS NULL THEN
        answer := 'redeemed';
        off := round(
            CASE coupon.discount_kind
                WHEN 'amount_off' THEN least(coupon.discount_value, redeem.basket)
                ELSE least(redeem.basket * coupon.discount_value, coalesce(coupon.discount_at_most, 'infinity'))
            END, coalesce(coupon.currency_decimals, 2)::integer
        );
        UPDATE marketing.coupon_triggers AS t
        SET
            status = 'redeemed',
            redeemed_on = redeem.day,
            redeemed_at = redeem.at,
            redeemed_order = number,
            redeemed_store = place,
            discount_given = off,
            updated_at = redeem.at
        WHERE t.trigger_id = coupon.trigger_id;
    ELSIF answer = 'redeemed' THEN
        off := coupon.discount_given;
    END IF;
    PERFORM ops.keep_answer(
        'redeem', coupon.trigger_id, number, place, redeem.day, answer = 'redeemed', answer
    );
    RETURN QUERY SELECT answer = 'redeemed', answer, off, coupon.currency;
END;
$$;
