"""A request becomes a batch with its rows and a start on Temporal."""
