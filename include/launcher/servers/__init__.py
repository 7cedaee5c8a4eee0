"""What runs: PostgreSQL, Airflow's components, their state folder, addresses and memory."""
