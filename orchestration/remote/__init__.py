"""A Canopy elsewhere, over HTTP: the store of a worker without a database, and the sender of events."""
