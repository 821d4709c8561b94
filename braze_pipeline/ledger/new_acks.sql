-- A number for each as-of date and second of the send.
INSERT INTO ledger.acks
    (ledger, ack_no, how, as_of, acknowledged_at, template, plan_id, run_id, send_id)
SELECT $ledger, $last + row_number() OVER (ORDER BY moment, day), 'send', day, moment,
    $template, $plan, $run, $send
FROM (SELECT DISTINCT acknowledged_at AS moment FROM {ranges})
CROSS JOIN (SELECT unnest($days::DATE[]) AS day)
-- What is applied a second time finds its numbers again.
WHERE NOT EXISTS (
    SELECT 1 FROM ledger.acks k
    WHERE k.ledger = $ledger AND k.plan_id = $plan AND k.send_id = $send
        AND k.as_of = day AND k.acknowledged_at = moment
)
