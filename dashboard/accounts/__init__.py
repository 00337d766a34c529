"""Who is who and who may do what: permissions, API tokens, preferences."""
