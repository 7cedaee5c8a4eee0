-- Grain: one row per staged line that has a price and a quantity; both as natural logarithms.
SELECT
    l.ctid AS row_at,
    l.order_id,
    l.line_number,
    l.product_id,
    l.business_day,
    l.ordered_at,
    l.is_unit,
    l.quantity,
    ln((l.sales / l.quantity)::double precision) AS price,
    ln(l.quantity::double precision) AS pieces
FROM order_lines AS l
WHERE
    l.quantity BETWEEN 0.0005 AND 1e9
    AND l.sales BETWEEN 0.005 AND 1e10
    AND num_nulls(l.order_id, l.product_id, l.ordered_at) = 0
