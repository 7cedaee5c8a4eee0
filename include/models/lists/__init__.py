"""From a recommender to the lists that customers see.

- `build`: every customer's lists; `candidates`: where products come from beside the recommender.
- `eligibility`: who may be shown what; `bought_together`: what is bought together.
- `wording`: the reason in words; `explain`: one customer's lists, step by step.
"""
