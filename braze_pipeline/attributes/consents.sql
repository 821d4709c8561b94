-- How new the consents are, and how many have no date.
SELECT
    count(*) FILTER (changed_at IS NULL) AS consents_without_date,
    (max(changed_at) FILTER (changed_at < $tomorrow))::DATE AS newest_consent
FROM consents
