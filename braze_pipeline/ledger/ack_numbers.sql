-- The numbers of a send, to be joined with its ranges.
CREATE OR REPLACE TEMP TABLE {ack_numbers} AS
SELECT as_of, acknowledged_at, max(ack_no) AS ack_no
FROM ledger.acks
WHERE ledger = $ledger AND plan_id = $plan AND send_id = $send
GROUP BY as_of, acknowledged_at
