-- Attributes that a template had and no longer has: the watermarks of its users guard them still, up to
-- the newest day that had them. Another template may have them now.
CREATE TABLE ledger.removed_attributes (
    ledger VARCHAR NOT NULL,
    template VARCHAR NOT NULL,
    attribute VARCHAR NOT NULL,
    as_of DATE NOT NULL                 -- newest day carried out with it
);
