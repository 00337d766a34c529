"""The processes of `make run`, and what serving over HTTP needs."""
