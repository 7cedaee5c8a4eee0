"""What is read as one HTML file, and what it is made from.

- `daily`: a business day; `weekly`: a week for marketing; `quality`: sixty days of data quality.
- `backtests`: how champions were judged; `came_true`, `beyond_the_day`: predictions beside what came after.
- `samples`: a few rows of each table.
"""
