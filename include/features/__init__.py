"""Numbers about customers and products that SQL should not work out."""
