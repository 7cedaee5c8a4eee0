-- The coupon of a code where it is this customer's, else nothing. A code may be typed as people type: small
-- letters, blanks, no hyphens. Whoever is one person with the customer may bring it: any number of theirs, an
-- account's or one from before two customers were found to be one.
CREATE FUNCTION marketing.coupon_of(code text, customer text) RETURNS uuid
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH typed AS (
        SELECT regexp_replace(upper(coupon_of.code), '[^A-Z0-9]', '', 'g') AS bare
    ),

    asked AS (
        SELECT i.customer_id AS account_id
        FROM core.identities AS i
        WHERE i.external_id = coupon_of.customer
        UNION
        SELECT a.account_id
        FROM core.accounts AS a
        WHERE a.account_number = coupon_of.customer
    )

    SELECT t.trigger_id
    FROM typed AS y
    INNER JOIN marketing.coupon_triggers AS t
        ON t.coupon_code = coupon_of.code
        OR t.coupon_code = substr(y.bare, 1, 5) || '-' || substr(y.bare, 6, 5) || '-' || substr(y.bare, 11)
    LEFT JOIN core.identity_links AS o ON t.customer_id = o.account_id
    WHERE
        t.external_id = coupon_of.customer
        OR coalesce(o.customer_id, t.customer_id) IN (
            SELECT coalesce(l.customer_id, s.account_id)
            FROM asked AS s
            LEFT JOIN core.identity_links AS l ON s.account_id = l.account_id
        )
    LIMIT 1;
$$;
