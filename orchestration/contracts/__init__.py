"""What crosses a process boundary: dataclasses, enums, Protocols and names."""
