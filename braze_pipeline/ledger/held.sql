-- Whether Braze acknowledged a value of an attribute for a user that it had by then, before $before,
-- and the value was neither cleared nor reset since.
SELECT count(*) FROM (
    SELECT 1
    FROM {users} AS l
    JOIN ledger.acks AS k ON k.ack_no = l.{ack} AND k.ledger = $ledger
    WHERE l.{value} IS NOT NULL
        AND ($proof OR (l.known AND k.acknowledged_at >= l.known_at))
        AND k.acknowledged_at < $before
        AND k.ack_no > $reset_ack
    LIMIT 1
)
