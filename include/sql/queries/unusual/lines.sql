-- Grain: one row per line whose price or quantity is far from what was usual up to its day, with its flags.
-- Usual is the product's own median, give or take its spread (the median absolute deviation); of a product
-- that nobody bought before, the shop's. What cannot be true is flagged absurd.
SELECT
    j.row_at,
    array_remove(
        ARRAY[
            CASE WHEN j.is_price THEN 'outlier_price' END,
            CASE WHEN j.is_quantity OR j.is_number THEN 'outlier_quantity' END,
            CASE
                WHEN j.is_known AND (j.price_off > ln(1000) OR abs(j.price_off - ln(100)) < 0.005)
                    THEN 'absurd_price'
            END,
            CASE
                WHEN j.is_known AND (j.is_number OR (j.is_quantity AND j.price_off < -ln(1000)))
                    THEN 'absurd_quantity'
            END
        ],
        NULL
    ) AS flags
FROM judged AS j
WHERE j.is_price OR j.is_quantity OR j.is_number
