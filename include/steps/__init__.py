"""The steps of a business day, one call a task: each reads, calls what is pure, and stages.

- `gate`: audits what is staged and publishes all of it, or none.
- `ingest`, with `lookups`, `withdrawn` and `replay`: from the shop to `core`.
- `features`: from `core` on. `trial`: a source tried in a warehouse that is thrown away.
- `training`: models. `score`, `lists`, `product_rows`: segments and lists.
- `stock`: forecasts and priorities. `activate`, `approve`: what is decided. `delivery`: what is sent.
- `measure`: what it changed. `upkeep`: what is thrown away.
"""
