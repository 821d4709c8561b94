-- The rows of a snapshot that a send had accepted: in an acknowledged range, and not refused.
-- A view: each use reads from the snapshot the columns that it needs, and keeps none of them.
CREATE OR REPLACE TEMP VIEW {accepted} AS
SELECT s.*, a.ack_no, a.acknowledged_at
FROM {rows} s
JOIN {ranges} r
    ON s.__request = r.request_no
    AND s.__index >= r.first_index AND s.__index < r.first_index + r.count
JOIN {ack_numbers} a ON a.as_of = s.__as_of AND a.acknowledged_at = r.acknowledged_at
ANTI JOIN {refused} x ON x.request_no = s.__request AND x.object_index = s.__index
