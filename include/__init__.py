"""Everything Regulars does; `dags/` only wires what stands here."""
