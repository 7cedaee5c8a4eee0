"""`bin/regulars`: `bootstrap` makes the environment, `cli` reads the arguments, `commands` do the work.

`servers` are what runs; `preflight`, `provision` and `health` are what compose calls; `screen` shows
progress.
"""
