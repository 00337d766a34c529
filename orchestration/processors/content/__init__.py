"""Content of strangers (pages, images), read in processes of its own that are ended at a limit of time or memory."""
