"""The shop, as it is read: one reader for each kind of place.

- `shop`: `opened()` gives the reader of a source; the one for PostgreSQL.
- `file_drop`: a folder of files; `file_mapping`: what their headers mean; `file_reading`: files as batches;
  `file_scratch`: those of one form as a table.
- `files`: what that is made of, from the folder to typed columns.
- `by_order`: columns that lines of a file have from their order.
- `mysql`: the one for MySQL and MariaDB.
- `offered`: which source tables a run takes; `gaps`: what the policy relies on and they do not give.
- `schema_drift`: what changed in the shop's own tables since they were agreed on.
"""
