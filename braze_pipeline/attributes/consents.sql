-- How new the consents are.
SELECT (max(changed_at) FILTER (changed_at < $tomorrow))::DATE AS newest_consent FROM consents
