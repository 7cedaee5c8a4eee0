"""Everything Regulars does; `dags/` only wires what stands here."""

#: The version of the project, as in pyproject.toml; the warehouse remembers which one brought it up to date.
VERSION = "0.2.0"
