"""Temporal without Django: the engine that fans out, supervises and retries."""
