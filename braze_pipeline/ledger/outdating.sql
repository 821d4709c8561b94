-- The changes of a ledger since a version that outdate a plan: all but those by its own send, and by
-- sends of other templates. One that has an attribute of the plan, as a template under a new name has,
-- may have sent a newer value.
WITH plans AS (
    SELECT plan_id, template, json_extract_string(summary, '$.columns[*].name') AS attributes
    FROM records.plans
),
own AS (
    SELECT * FROM plans WHERE plan_id = $1
)
SELECT count(*)
FROM ledger.changes
WHERE ledger = $2
    AND version > $3
    AND plan_id IS DISTINCT FROM $1
    AND NOT EXISTS (
        FROM own JOIN plans AS other
            ON other.plan_id = changes.plan_id
            AND other.template <> own.template
            AND NOT list_has_any(other.attributes, own.attributes)
    )
