-- One row per message whose reason does not hold any more, of those of one campaign that are about to leave.
-- `ended` is the kind of trigger asked again (queries/again), from the newest that is published, whatever the
-- clock believes; it may read the other parts by their names.
-- messages, days: the messages, and the day that it is where each is received.
SELECT DISTINCT e.message_id FROM ended AS e
