"""What runs.

- `state`: the state folder, and who holds it.
- `postgresql`: the embedded server; `databases`: its databases and roles; `connections`: their addresses.
- `scratch`: a database for as long as something is tried.
- `airflow`: its components; `api`: its REST interface.
- `platform`: everything together; `memory`: what it takes.
"""
