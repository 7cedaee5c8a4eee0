"""What a customer will be worth.

- `model`: the value model, its settings and what it predicts; `algorithms`: its members,
  and those that compete.
- `search`: features and settings chosen within the training rows.
- `contest`: whether a new model is promoted; `baselines`: what it has to beat.
- `rolling`: how a recipe did on past days.
- `explain`, `reasons`: why a customer is worth what is said.
- `buy_till_you_die`: lifetime models as one input; `population_drift`: customers unlike the training rows.
- `worked`: the worked case.
"""
