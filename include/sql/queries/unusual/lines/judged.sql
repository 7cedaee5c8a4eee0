-- Grain: one row per suspect: what is far, and whether enough is known to say what cannot be true.
SELECT
    c.row_at,
    abs(c.price_off) > greatest(%(far_price)s, %(spreads)s * c.price_spread) AS is_price,
    c.pieces_off > greatest(%(far_pieces)s, %(spreads)s * c.pieces_spread) AS is_quantity,
    c.is_number AND c.pieces_off > greatest(%(far_price)s, %(spreads)s * c.pieces_spread) AS is_number,
    c.seen >= %(least_of_product)s AND c.price_spread < 0.5 AS is_known,
    c.price_off
FROM compared AS c
