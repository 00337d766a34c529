"""Django's PostgreSQL backend, for servers whose sessions a pooler shares."""
