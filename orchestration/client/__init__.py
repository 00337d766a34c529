"""Questions and commands to the Temporal service, one function each."""
