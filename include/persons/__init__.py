"""Who is who, and who is to be forgotten.

- `identity`: which accounts are one person, by rules; `names`: whether two names are one.
- `evidence`: what is known of every account. `links`: the outcome, as it stands in the warehouse.
- `staging`: the persons of a batch while it is built. `settle`: who is who after each publication of `core`.
- `rows`: every row of `core` at its person. `by_hand`: to see why, and to take a wrong merge apart.
- `pseudonym`: a customer's number in the warehouse, a keyed hash of the shop's own.
- `addresses`: the one form of an e-mail address or a telephone number.
- `suppressions`: addresses that nothing is sent to. `refusals`: a no beside the shop's answers.
- `stale`: days that are built again because an account came to be somebody's, or nobody's.
- `erasure`: a person deleted everywhere, for good; `erasure_requests`: who asked for it.
"""
