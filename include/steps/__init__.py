"""The work of each DAG's tasks: reads the warehouse, calls the pure modules, stages the result."""
