-- Fencing tokens: one rising number for every batch and every attempt to publish.
CREATE SEQUENCE IF NOT EXISTS ops.tokens;
