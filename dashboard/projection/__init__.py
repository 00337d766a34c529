"""The only writer of the tree: events, retries, settlement, ledger, attempts, discovered nodes."""
