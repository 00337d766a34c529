"""The activities that run in the web process, and their worker: the only room that imports temporalio."""
