"""The launcher: an embedded PostgreSQL, Airflow's components and the commands of `bin/regulars`."""
