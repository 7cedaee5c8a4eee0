"""Numbers about customers, products and demand, from rows.

- `customers`: features of customers by theme, with unit and label. `panels`: training rows and their labels.
- `purchases`, `signals`: what was bought, and what was done beside buying, as arrays.
- `pairs`: features of a customer and an item, with unit and label.
- `demand`, `demand_panel`: weekly units of products. `sentiment`: of a text.
- `stability`: how far a distribution has moved. `arrays`: the types of arrays.
"""
