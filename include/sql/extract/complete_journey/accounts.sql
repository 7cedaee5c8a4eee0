-- Grain: one row per account whose record changed that day.
-- A row without updated_at belongs to no day: every run meets it, and it stands on the newest one.
SELECT
    (updated_at AT TIME ZONE %(timezone)s)::date AS _partition,
    account_number,
    system,
    customer_number,
    first_name,
    last_name,
    email,
    phone,
    loyalty_number,
    handle,
    email_verified,
    updated_at
FROM accounts
WHERE (updated_at >= %(start)s AND updated_at < %(end)s) OR updated_at IS NULL
