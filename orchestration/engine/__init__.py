"""The deterministic machinery of parents: supervisor, admission, hold, approval, outbox, chunk execution."""
