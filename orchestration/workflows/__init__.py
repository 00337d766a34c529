"""One workflow class a module; the engine does the work."""
