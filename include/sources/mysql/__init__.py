"""A shop in MySQL or MariaDB.

- `server`: the one place that opens a connection to such a server; rows streamed from it as lines.
- `cells`: which of the server's types may stand for a contract's, and how each is written for COPY.
- `days`: business days out of stamps in UTC, by a server that need not know any time zone.
- `drift`: the columns of the tables behind a SELECT.
- `source`: the reader, one SELECT a source table.
"""
