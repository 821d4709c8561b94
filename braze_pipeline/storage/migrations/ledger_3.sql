-- The field's words: acknowledgements are applied, attributes are in doubt, watermarks are pending.
ALTER TABLE ledger.folded RENAME TO applied_sends;
ALTER TABLE ledger.folded_ranges RENAME TO applied_ranges;
ALTER TABLE ledger.doubts RENAME TO in_doubt;
ALTER TABLE ledger.unsettled RENAME TO pending_watermarks;
