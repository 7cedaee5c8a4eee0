-- One value: whether it is new. For whatever of the shop hears a refusal between two runs: a person at the
-- telephone, a page of preferences. `customer` is a number of the shop, `address` an e-mail address or a
-- telephone number; either may be empty. `channel` may be any of the shop's words; empty, or one that nobody
-- knows, means every channel. Delivery takes it up before it claims anything.
CREATE FUNCTION ops.record_refusal(
    customer text, address text DEFAULT NULL, channel text DEFAULT NULL, at timestamptz DEFAULT NULL
) RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF coalesce(btrim(record_refusal.customer), '') = '' AND coalesce(btrim(record_refusal.address), '') = '' THEN
        RAISE EXCEPTION 'Expected a customer''s number or an address, found neither: give one of them.'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF octet_length(concat(record_refusal.customer, record_refusal.address, record_refusal.channel)) > 2000 THEN
        RAISE EXCEPTION 'Expected a number, an address and a channel of at most 2000 bytes, found more: give each its own argument.'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO core.told_refusals AS t (refusal_id, customer_number, address, channel, refused_at, told_at)
    VALUES (
        md5(concat_ws('|', record_refusal.customer, '|', record_refusal.address, '|', record_refusal.channel,
            '|', coalesce(record_refusal.at, clock_timestamp())))::uuid,
        nullif(btrim(record_refusal.customer), ''),
        nullif(btrim(record_refusal.address), ''),
        record_refusal.channel,
        least(coalesce(record_refusal.at, clock_timestamp()), clock_timestamp()),
        clock_timestamp()
    )
    ON CONFLICT (refusal_id) DO NOTHING;
    RETURN FOUND;
END;
$$;
