"""A file, an upload or pasted text becomes rows of items."""
