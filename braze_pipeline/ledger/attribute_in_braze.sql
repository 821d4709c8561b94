-- Whether Braze acknowledged a value of an attribute before $before, for a user whose
-- acknowledgements prove something, and the value was neither cleared nor reset since.
SELECT count(*) FROM (
    SELECT 1
    FROM {users} AS l
    JOIN ledger.acks AS k ON k.ack_no = l.{ack} AND k.ledger = $ledger
    WHERE l.{value} IS NOT NULL
        AND ($proof OR (l.known AND {confirmed}))
        AND k.acknowledged_at < $before
        AND k.ack_no > $reset_ack
    LIMIT 1
)
