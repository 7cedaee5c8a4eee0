"""Training: which models are due, how they are fitted and judged, and which one serves.

- `tasks`: the tasks of the models DAG. `champions`: which stored model serves a day.
- `value_model`, `recommender`, `redemption`, `uplift`: read, fit, judge and stage one kind each.
- `recipes`: what decides a model besides the data.
- `panels`: training rows of past days. `population_drift`: whether customers have moved away from them.
"""
