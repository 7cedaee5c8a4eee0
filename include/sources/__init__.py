"""The shop, as it is read: one reader for each kind of place.

- `shop`: `opened()` gives the reader of a source; the one for PostgreSQL.
- `mysql`: the one for MySQL and MariaDB.
- `file_drop`: a folder of files; `file_mapping`: what its headers mean; `file_reading`: files as batches.
- `offered`: which source tables a run takes; `gaps`: what the policy relies on and they do not give.
- `schema_drift`: what changed in the shop's own tables since they were agreed on.
"""
