"""What processors of databases, tables and files share."""
