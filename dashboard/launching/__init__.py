"""A launch request becomes a batch with its rows and a started root workflow."""
