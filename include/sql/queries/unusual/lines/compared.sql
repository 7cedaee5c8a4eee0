-- Grain: one row per suspect: how far it is from what was usual, and the spread that is usual.
SELECT
    s.row_at,
    s.is_number,
    coalesce(p.seen, 0) AS seen,
    s.price - coalesce(p.price, s.shop_price) AS price_off,
    s.pieces - coalesce(p.pieces, s.shop_pieces) AS pieces_off,
    coalesce(d.price, s.shop_price_spread) AS price_spread,
    coalesce(d.pieces, s.shop_pieces_spread) AS pieces_spread
FROM suspects AS s
LEFT JOIN product AS p ON s.row_at = p.row_at
LEFT JOIN LATERAL (
    SELECT
        1.4826 * percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(u.price - p.price)) AS price,
        1.4826 * percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(u.pieces - p.pieces)) AS pieces
    FROM unnest(p.prices, p.quantities) AS u (price, pieces)
) AS d ON p.seen > 0
