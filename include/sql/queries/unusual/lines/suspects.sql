-- Grain: one row per comparable line that is worth a closer look: unlike every line of the last three days on
-- which its product was sold, or of its first day and unlike the shop's lines.
SELECT
    b.row_at,
    b.order_id,
    b.product_id,
    b.business_day,
    b.price,
    b.pieces,
    b.is_number,
    s.price AS shop_price,
    s.price_spread AS shop_price_spread,
    s.pieces AS shop_pieces,
    s.pieces_spread AS shop_pieces_spread
FROM (
    SELECT
        r.row_at,
        r.order_id,
        r.product_id,
        r.business_day,
        r.is_unit,
        r.price,
        r.pieces,
        -- A product's number in the column of the quantity.
        r.product_id ~ '[1-9]\d\d' AND length(r.product_id) < 15
        AND r.quantity::text ~ '^\d{3,}(\.0*)?$'
        AND ltrim(regexp_replace(r.product_id, '\D', '', 'g'), '0') = split_part(r.quantity::text, '.', 1)
            AS is_number,
        count(*) OVER w AS seen,
        max(r.price) OVER w AS dearest,
        min(r.price) OVER w AS cheapest,
        max(r.pieces) OVER w AS most
    FROM recent AS r
    WINDOW
        w AS (
            PARTITION BY r.product_id ORDER BY r.business_day
            GROUPS BETWEEN 3 PRECEDING AND 1 PRECEDING
        )
) AS b
LEFT JOIN shop AS s ON b.business_day = s.business_day AND b.is_unit
WHERE
    b.row_at IS NOT NULL
    AND (
        b.price > b.dearest + %(near_price)s
        OR b.price < b.cheapest - %(near_price)s
        OR b.pieces > b.most + CASE WHEN b.is_number THEN 1 ELSE %(near_pieces)s END
        OR (
            b.seen = 0
            AND (
                abs(b.price - s.price) > %(near_price)s
                OR b.pieces > s.pieces + %(near_pieces)s
                OR b.is_number
            )
        )
    )
