-- One row for each row of the day's audience that has to be read. The layers compute each expression only once. In all
-- but the last, the brand's columns are next to ours, whose names begin with two underscores.
CREATE OR REPLACE TEMP TABLE {base} AS
SELECT
    nullif({identifier}::VARCHAR, '') AS __user_id,
    {customer}::VARCHAR AS __customer_id,
    {staged}
FROM (
    SELECT {values}
    FROM (
        SELECT {texts}
        FROM (SELECT * FROM {attributes} WHERE __as_of = $day) AS __attributes
        JOIN (
            SELECT customer_id AS __audience_id, any_value(groups) AS __groups
            FROM {audience}
            WHERE __as_of = $day AND left_out_by IS NULL
                AND {must}
            GROUP BY customer_id
        ) AS __audience
        ON __attributes.{customer} IS NOT DISTINCT FROM __audience.__audience_id
    )
)
