"""The demo shop: The Complete Journey loaded into a PostgreSQL database that plays a shop's own.

- `load`: the real rows as they are, and the rest generated from a seed (`seeded`).
- `assortment`, `households`, `behaviour`, `channels`, `mailings`: what is generated, or put beside real rows.
"""
