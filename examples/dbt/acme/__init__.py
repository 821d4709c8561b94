"""A brand whose dbt project makes its customer 360, and sends it to Braze."""
