"""What a process tells those who run it: metrics, health, logs and traces."""
