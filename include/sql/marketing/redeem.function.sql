-- One row: whether a shop may take a coupon off an order, and how much. A code counts once: the first order
-- that is asked for gets it, whoever asks at the same moment, and the same order is given the same answer
-- however often it is asked for. `day` is the shop's own business day. Reasons for no: `unknown_code` (also
-- for a code of another customer), `not_sent`, `already_redeemed`, `not_yet_valid`, `expired`,
-- `basket_too_small`.
CREATE FUNCTION marketing.redeem(
    code text, customer text, order_number text, basket numeric, day date, at timestamptz
) RETURNS TABLE (accepted boolean, reason text, discount numeric, currency text)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    -- As it was printed, or as people type it: small letters, blanks, no hyphens.
    bare CONSTANT text := regexp_replace(upper(redeem.code), '[^A-Z0-9]', '', 'g');
    spellings CONSTANT text[] := ARRAY[
        redeem.code, substr(bare, 1, 5) || '-' || substr(bare, 6, 5) || '-' || substr(bare, 11)
    ];
    coupon marketing.coupon_triggers%ROWTYPE;
BEGIN
    IF redeem.order_number IS NULL OR redeem.basket IS NULL OR redeem.day IS NULL OR redeem.at IS NULL THEN
        RAISE EXCEPTION 'Expected code, customer, order_number, basket, day and at; found one of them missing.'
            USING ERRCODE = 'null_value_not_allowed';
    END IF;
    -- Not a number and infinity are greater than every minimum_spend.
    IF redeem.basket < 0 OR redeem.basket >= 'infinity' THEN
        RAISE EXCEPTION 'Expected a basket of 0 or more, found %.', redeem.basket
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE marketing.coupon_triggers AS t
    SET
        status = 'redeemed',
        redeemed_on = redeem.day,
        redeemed_at = redeem.at,
        redeemed_order = redeem.order_number,
        discount_given = round(
            CASE t.discount_kind
                WHEN 'amount_off' THEN least(t.discount_value, redeem.basket)
                ELSE least(redeem.basket * t.discount_value, coalesce(t.discount_at_most, 'infinity'))
            END, 2
        ),
        updated_at = redeem.at
    WHERE
        t.coupon_code = ANY(spellings)
        AND t.external_id = redeem.customer
        AND t.status = 'sent'
        AND redeem.day BETWEEN t.valid_from AND t.valid_until
        AND redeem.basket >= t.minimum_spend
    RETURNING t.* INTO coupon;
    IF FOUND THEN
        RETURN QUERY SELECT true, 'redeemed'::text, coupon.discount_given, coupon.currency;
        RETURN;
    END IF;
    SELECT t.* INTO coupon
    FROM marketing.coupon_triggers AS t
    WHERE t.coupon_code = ANY(spellings) AND t.external_id = redeem.customer;
    RETURN QUERY SELECT
        coupon.status = 'redeemed' AND coupon.redeemed_order = redeem.order_number IS TRUE,
        CASE
            WHEN coupon.trigger_id IS NULL THEN 'unknown_code'
            WHEN coupon.status = 'redeemed' AND coupon.redeemed_order = redeem.order_number THEN 'redeemed'
            WHEN coupon.status = 'redeemed' THEN 'already_redeemed'
            WHEN coupon.status <> 'sent' THEN 'not_sent'
            WHEN redeem.day < coupon.valid_from THEN 'not_yet_valid'
            WHEN redeem.day > coupon.valid_until THEN 'expired'
            ELSE 'basket_too_small'
        END,
        CASE
            WHEN coupon.status = 'redeemed' AND coupon.redeemed_order = redeem.order_number
                THEN coupon.discount_given
            ELSE 0::numeric
        END,
        coupon.currency;
END;
$$;
