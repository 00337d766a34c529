"""Bulk statements, sanitising of what is stored, and database access from threads."""
