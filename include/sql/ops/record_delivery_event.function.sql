-- One value: whether the event is new. For gateways' callbacks and the shop's unsubscribe page; the message
-- is named by our key (`message`) or by the provider's (`provider`), with or without angle brackets, in any
-- case. Told twice under one `event` with one `kind`, it counts once; what names nothing is refused.
CREATE FUNCTION ops.record_delivery_event(
    event text, kind text, at timestamptz, message uuid DEFAULT NULL, provider text DEFAULT NULL
) RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF coalesce(record_delivery_event.kind, '') NOT IN (
        'delivered', 'soft_bounced', 'bounced', 'complained', 'unsubscribed', 'opened', 'clicked'
    ) THEN
        RAISE EXCEPTION 'Expected delivered, soft_bounced, bounced, complained, unsubscribed, opened or clicked as kind; found %.', coalesce(record_delivery_event.kind, 'none')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF btrim(coalesce(record_delivery_event.event, ''), E' \t\r\n') = '' OR record_delivery_event.at IS NULL THEN
        RAISE EXCEPTION 'Expected a name of the event''s own and its moment; found event %, at %: pass both.', coalesce(quote_literal(record_delivery_event.event), 'none'), coalesce(record_delivery_event.at::text, 'none')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF record_delivery_event.message IS NULL
        AND coalesce(regexp_replace(record_delivery_event.provider, '[[:space:]<>]', '', 'g'), '') = ''
    THEN
        RAISE EXCEPTION 'Expected a message, by our key or by the provider''s name for it; found neither: pass message or provider.'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO ops.delivery_events AS e (event_key, kind, message_id, provider_id, occurred_at, received_at)
    VALUES (
        record_delivery_event.event,
        record_delivery_event.kind,
        record_delivery_event.message,
        record_delivery_event.provider,
        record_delivery_event.at,
        clock_timestamp()
    )
    ON CONFLICT (event_key, kind) DO NOTHING;
    RETURN FOUND;
END;
$$;
