"""What campaigns do: `redemption` of coupons, measured `lift`, and who is moved (`uplift`)."""
