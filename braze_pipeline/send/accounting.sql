-- The counts of one run, each from a source of its own, so that they can prove each other.
WITH
-- Days whose rules a warehouse applied: what it counted, before the rules and by each of them.
elsewhere AS (
    SELECT
        coalesce(sum(customers) FILTER (excluded_by IS NULL), 0)::BIGINT AS customers,
        coalesce(sum(customers) FILTER (excluded_by IS NOT NULL), 0)::BIGINT AS left_out,
        list(DISTINCT as_of) AS days
    FROM records.counted_elsewhere
    WHERE table_name = $attributes AND as_of IN ({days})
),
audience AS (
    SELECT
        count(*) FILTER (left_out_by IS NULL) AS audience,
        count(*) FILTER (left_out_by IS NOT NULL) + (SELECT left_out FROM elsewhere) AS left_out
    FROM {audience}
    WHERE __as_of IN ({days})
),
-- What the journal says of each object of the plan's snapshot.
objects AS (
    SELECT
        CASE
            WHEN refused.request_no IS NOT NULL THEN 'rejected'
            WHEN answered.request_no IS NOT NULL THEN 'accepted'
            ELSE 'not attempted'
        END AS outcome,
        -- An object holds two keys besides its attributes: the identifier and the update switch.
        len(json_keys(snapshot.__object)) - 2 AS attributes
    FROM read_parquet({snapshot}) AS snapshot
    -- Several sends of one plan may have answered the same objects; each range counts once.
    LEFT JOIN (SELECT DISTINCT request_no, first_index, count FROM {answered}) AS answered
        ON snapshot.__request = answered.request_no
        AND snapshot.__index >= answered.first_index
        AND snapshot.__index < answered.first_index + answered.count
    LEFT JOIN (SELECT DISTINCT request_no, object_index FROM {refused}) AS refused
        ON snapshot.__request = refused.request_no AND snapshot.__index = refused.object_index
),
attributes AS (
    SELECT
        count(*) FILTER (outcome = 'not attempted') AS not_attempted,
        coalesce(sum(attributes) FILTER (outcome = 'accepted'), 0) AS accepted_attributes,
        coalesce(sum(attributes) FILTER (outcome = 'rejected'), 0) AS rejected_attributes,
        coalesce(sum(attributes) FILTER (outcome = 'not attempted'), 0) AS not_attempted_attributes
    FROM objects
)
SELECT
    (
        SELECT count(*) FROM {customer_attributes}
        WHERE __as_of IN ({days})
            AND NOT coalesce(list_contains((SELECT days FROM elsewhere), __as_of), false)
    ) + (SELECT customers FROM elsewhere) AS customers,
    audience.*,
    (SELECT count(*) FROM {profiles} WHERE __as_of IN ({days})) AS profiles,
    (
        SELECT count(DISTINCT (as_of, customer_id)) FROM records.rejections
        WHERE row_rejected AND stage = 'profiles' AND as_of IN ({days})
            AND destination = $destination AND template = $template
    ) AS rejected_rows,
    attributes.*,
    -- What was applied to the ledger and to the rejections.
    plans.accepted_users AS folded_accepted,
    plans.refused_users AS folded_refused
FROM records.plans AS plans, audience, attributes
WHERE plans.plan_id = $plan_id
