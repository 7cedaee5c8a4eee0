-- One value: whether the event is new. For gateways' callbacks and the shop's unsubscribe page; the message
-- is named by our key (`message`) or by the provider's (`provider`). Told twice under one `event`, it counts
-- once.
CREATE FUNCTION ops.record_delivery_event(
    event text, kind text, at timestamptz, message uuid DEFAULT NULL, provider text DEFAULT NULL
) RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF record_delivery_event.kind NOT IN (
        'delivered', 'soft_bounced', 'bounced', 'complained', 'unsubscribed', 'opened', 'clicked'
    ) THEN
        RAISE EXCEPTION 'Expected delivered, soft_bounced, bounced, complained, unsubscribed, opened or clicked as kind; found %.', record_delivery_event.kind
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
    ON CONFLICT (event_key) DO NOTHING;
    RETURN FOUND;
END;
$$;
