"""Form classes, their fields, and errors beside a field."""
