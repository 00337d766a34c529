"""What processors of databases, tables and files share: connections, column schemas, imports, file stores."""
