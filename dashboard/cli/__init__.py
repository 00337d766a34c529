"""The `canopy` command, with a file for each of its commands; only those that need Django load it."""
