"""What a process answers orchestrators and Prometheus: whether it lives, whether it is ready, and its metrics."""
