"""A file with everything that Canopy keeps, made while it runs, and brought back."""
