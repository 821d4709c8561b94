"""What people do beside the daily run: ledger commands, bootstrap, transfer, reports, doctor."""
