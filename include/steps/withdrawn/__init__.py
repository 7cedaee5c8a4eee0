"""What takes back what the shop's rows allowed, beside a window's rows.

- `noticed`: what a run looks for: refusals that no window holds or that are set aside, and deletions.
- `deleted`: what core knows and the shop's tables hold no longer.
"""
