"""The first files of a brand: a configuration that loads, made for a table that it has.

============ ==================================================================
``table``    where the table is, and what the values of each column look like
``proposal`` under which name and type each column would be sent
``render``   the text of ``defs.yaml`` and of the SQL file
``write``    all files of a project; never over one that exists
============ ==================================================================

``braze-pipeline init`` and ``dg scaffold defs`` both use it.
"""
