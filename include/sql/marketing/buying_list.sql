-- One row per product of the newest stock priorities, the most urgent first.
SELECT
    s.as_of,
    s.product_id,
    s.name,
    s.type,
    min(s.priority_rank) AS priority_rank,
    count(*) FILTER (WHERE s.units_to_order > 0) AS regions_to_order,
    sum(s.units_high_value) AS units_high_value,
    sum(s.units_other) AS units_other,
    sum(s.on_hand) AS on_hand,
    sum(s.on_order) AS on_order,
    sum(s.units_to_order) AS units_to_order,
    sum(s.units_to_reserve) AS units_to_reserve,
    sum(s.units_reducible) AS units_reducible,
    sum(s.units_to_order * (s.unit_price - s.unit_margin)) AS order_value,
    sum(s.cost_of_running_out) AS cost_of_running_out,
    sum(s.cost_of_holding) AS cost_of_holding,
    s.currency
FROM marketing.stock_priorities AS s
WHERE
    s.as_of = (
        SELECT max(p.partition)
        FROM ops.publications AS p
        WHERE p.table_name = 'marketing.stock_priorities'
    )
GROUP BY s.as_of, s.product_id, s.name, s.type, s.currency
ORDER BY priority_rank
