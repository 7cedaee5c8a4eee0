"""The demo shop: The Complete Journey loaded into a PostgreSQL database that plays a shop's own."""
