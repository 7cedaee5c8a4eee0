-- What the extraction and the till look rows up by; made after the load, which is faster.
CREATE INDEX ON stores (updated_at);
CREATE INDEX ON products (updated_at);
CREATE INDEX ON customers (updated_at);
CREATE INDEX ON contact_points (updated_at);
CREATE INDEX ON consents (recorded_at);
CREATE INDEX ON orders (ordered_at);
CREATE INDEX ON orders (order_number);
CREATE INDEX ON order_lines (ordered_at);
CREATE INDEX ON order_lines (order_number, line_number);
CREATE INDEX ON events (occurred_at);
CREATE INDEX ON reviews (written_at);
CREATE INDEX ON stock_levels (counted_at);
CREATE INDEX ON campaigns (updated_at);
CREATE INDEX ON exposures (exposed_at);
CREATE INDEX ON coupons (updated_at);
CREATE INDEX ON redemptions (redeemed_at);
CREATE INDEX ON promotions (updated_at);
