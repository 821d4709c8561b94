-- A template whose every attribute is blocked plans nothing.
SELECT NULL::VARCHAR AS __user_id, NULL::VARCHAR AS __customer_id, NULL::DATE AS __as_of,
    false AS __present, false AS __left, false AS __member, false AS __known,
    false AS __new, false AS __full, NULL::DATE AS __evaluated, false AS __advances,
    false AS __stale, false AS __send, NULL::VARCHAR AS __reason, NULL::VARCHAR AS __object,
    NULL::VARCHAR AS __suppressed
WHERE false
