"""Who gets what: candidates, guard, arbitration, control group, coupons and copy.

Everything here is a function of its arguments: no database, no Airflow, no clock.
"""
