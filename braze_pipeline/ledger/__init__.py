"""The ledger: what Braze acknowledged, per destination, user and attribute.

================== ===========================================================================
``apply``          ``open_ledger``: the journal and the plan's snapshot into the ledger
``ledger``         the handle: tables, version, and what the rooms above ask
``columns``        what the numbered columns of ledger, diff and snapshot are called
``layout``         which Braze name is in which column of the wide table
``plan_ref``       what the ledger needs to know of a plan
``journal_tables`` what the journal has, as temporary tables
``merge``          accepted rows into the wide table
``watermarks``     which day each user was last evaluated for: the stale guard
``in_doubt``       what may be in Braze without an answer
``endpoint``       which Braze the ledger is about
``known_users``    which users Braze is known to have
``user``           one user: show and forget
``export_values``  values of a Braze export file into the ledger
``since_export``   what a restored ledger does not know
================== ===========================================================================

Nothing here decides what to send: that is ``plan``.
"""
