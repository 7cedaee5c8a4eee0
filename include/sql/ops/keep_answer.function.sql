-- Keeps what a till asked and was answered; whoever tries many codes that are nobody's waits for it: the more
-- of them within the last hour, the longer, up to five seconds. Ten are a busy shop's typing errors.
CREATE FUNCTION ops.keep_answer(
    asked text, trigger_id uuid, order_number text, store text, day date, accepted boolean, reason text
) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO ops.till_answers AS a (
        answer_id, asked, login, trigger_id, order_number, store, day, accepted, reason, answered_at
    )
    VALUES (
        gen_random_uuid(), keep_answer.asked, session_user, keep_answer.trigger_id, keep_answer.order_number,
        keep_answer.store, keep_answer.day, keep_answer.accepted, keep_answer.reason, clock_timestamp()
    );
    IF keep_answer.reason = 'unknown_code' THEN
        PERFORM pg_sleep(least(5, greatest(0, count(*) - 10) * 0.1))
        FROM ops.till_answers AS a
        WHERE
            a.login = session_user
            AND a.reason = 'unknown_code'
            AND a.answered_at > clock_timestamp() - INTERVAL '1 hour';
    END IF;
END;
$$;
