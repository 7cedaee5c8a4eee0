"""What `bin/regulars` does, one command or family of commands a module.

- `demo`, with `chain` and `summary`: the whole on one machine. `up`: servers that stay. `backfill`: past
  days.
- `source`: a source tried before anything is written.
- `inside`: what needs the databases alone; `policy`, `models`, `clock`, `fingerprint`, `suppress`: as they
  are called.
- `testing`: the tests.
"""
