"""What a customer will buy: repeats, and products new to the customer.

- `recommender`: the model that serves; `als`, `rankers`, `content`: its parts.
- `snapshot`: what is known of customers, items and pairs at the end of a day; `pool`, `toplists`: arrays of
  candidates and of lists.
- `rules`, `select`: marketing's rules, and which candidates make a list.
- `rivals`: what else could fill lists, judged beside it.
- `tuning`, `backtest`, `beyond_accuracy`: settings chosen, figures of accuracy, and those beside it.
"""
