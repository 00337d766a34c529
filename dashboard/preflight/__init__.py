"""What `canopy check` looks at: findings about settings, database, Temporal, Redis and files."""
