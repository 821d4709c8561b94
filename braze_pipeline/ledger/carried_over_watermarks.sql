-- The later of both days: a day that was carried out after the export still counts.
MERGE INTO {users} l
USING (FROM {before} WHERE {b.evaluated} IS NOT NULL) b ON l.user_id = b.user_id
WHEN MATCHED THEN UPDATE SET {n.evaluated} = greatest(l.{n.evaluated}, b.{b.evaluated})
WHEN NOT MATCHED THEN INSERT
    (user_id, known, known_how, known_at, {n.evaluated}, {n.full_at}, {n.unconfirmed})
    VALUES (b.user_id, b.known, b.known_how, b.known_at,
        b.{b.evaluated}, b.{b.full_at}, b.{b.unconfirmed})
