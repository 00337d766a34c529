"""Bulk statements, sanitising of what is stored, threads and their connections."""
