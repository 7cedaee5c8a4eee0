"""`bin/regulars`: `bootstrap` makes the environment, `cli` reads `arguments`, `commands` work.

`servers` are what runs; `preflight`, `provision` and `health` are what compose calls; `screen` shows
progress.
"""
