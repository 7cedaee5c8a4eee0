"""Who is who, and who is to be forgotten.

- `identity`: which accounts are one person, by rules; `names`: whether two names are one.
- `links`: the outcome in the warehouse, and every row of `core` at its person.
- `pseudonym`: a customer's number in the warehouse, a keyed hash of the shop's own.
- `stale`: days that are built again because an account came to be somebody's, or nobody's.
- `erasure`: a person deleted everywhere, for good; `erasure_requests`: who asked for it.
"""
