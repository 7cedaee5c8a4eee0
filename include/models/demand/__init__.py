"""How much of each product will be wanted, and what to keep for whom.

- `forecast`: the forecast and how its method is chosen; `methods`: those that compete; `smoothing`:
  exponential smoothing and Croston's method; `regressors`: what the booster learns from.
- `cadence`: demand read off the customers; `split`: by region and by value of customer.
- `priorities`: the stock rule.
"""
