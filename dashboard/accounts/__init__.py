"""Who is who and who may do what: permissions, API tokens, preferences; the audit log of what people did."""
