"""Who gets what: candidates, guard, arbitration, control group, coupons and copy.

Everything here is a function of its arguments: no database, no Airflow, no clock.

- `decide`: one day from its `inputs` to what is decided; `preview`: what another policy would change.
- `segments`: who is in which segment. `candidates`: whom each campaign would like to reach.
- `guard`: the one place that refuses. `worth`: what a candidate is expected to bring.
- `control`: who is held out at random, to compare with.
- `arbitrate`, `allocate`: one offer a customer, within the budgets.
- `write`: triggers and messages; `codes`: coupon codes and identities; `windows`: when they may leave.
- `copy`, `words`, `sms`: what is said, amounts and days as people write them, parts of a text message.
"""
