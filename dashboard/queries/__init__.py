"""What a person sees of the record: read-only queries."""
