-- Grain: one row per customer known by the end of as_of.
-- A customer whose orders arrived before the customer row is still a customer.
SELECT h.customer_id FROM household AS h
UNION
SELECT v.customer_id FROM visits AS v
