"""Models: pure functions and small classes over arrays and frames; no database, no clock.

- `value`: what a customer will be worth, churn, the next order. `lifetime`: BG/NBD and Gamma-Gamma.
- `products`: what a customer will buy. `lists`: from that to the lists that customers see.
- `neighbours`: ratings from the nearest customers.
- `demand`: forecasts of products and what to keep in stock.
- `campaigns`: redemption, lift and uplift.
- `blend`, `abreast`, `evaluate`: stacking, fits side by side, metrics.
- `registry`, `code`: models as bytes, and which code they are made by.
- `cases`: the two worked cases.
"""
