"""The ledger: what Braze acknowledged, per destination, user and attribute.

============== ===============================================================================
``tables``     the tables, their schema version and migrations
``columns``    which Braze name lies in which column of the wide table
``answers``    what the journal says, as temporary tables
``apply_acknowledgements``       journal and plan snapshot into the ledger, with ``merge``
``endpoint``   which Braze the ledger is about
``settle``     which day each user was last evaluated for: the stale guard
``doubts``     what may be in Braze without an answer
``standing``   which users Braze is known to have
``bootstrap``  filling the ledger from a Braze export
``transfer``   export and import of the ledger itself, with ``since_export``
``commands``   show, reset and forget
============== ===============================================================================

Nothing here decides what to send: that is ``plan``.
"""
