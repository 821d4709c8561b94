"""Which customers are sent, and how many each rule excludes: high value, active, contactable."""
