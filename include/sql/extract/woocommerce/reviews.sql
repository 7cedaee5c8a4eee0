-- Grain: one row per approved review written that day.
-- Tables: WordPress/wordpress-develop at 01501ab4787d053da5eb1425696ec3363d3adf4c,
-- src/wp-admin/includes/schema.php.
SELECT
    c.comment_date_gmt AS _partition,
    c.comment_id AS review_id,
    CASE
        WHEN c.user_id > 0 THEN cast(c.user_id AS char)
        WHEN trim(c.comment_author_email) NOT IN ('', 'deleted@site.invalid')
            THEN concat(
                'guest-', left(sha2(lower(trim(c.comment_author_email)), 256), 24)
            )
    END AS customer_number,
    cast(c.comment_post_id AS char) AS product_number,
    (
        SELECT max(cast(m.meta_value AS signed))
        FROM %(prefix)scommentmeta AS m
        WHERE m.comment_id = c.comment_id AND m.meta_key = 'rating'
    ) AS rating,
    c.comment_content AS body,
    c.comment_date_gmt AS written_at
FROM %(prefix)scomments AS c
WHERE
    c.comment_type = 'review'
    AND c.comment_approved = '1'
    AND c.comment_date_gmt >= %(start)s
    AND c.comment_date_gmt < %(end)s
