"""What processors that fetch over HTTP share: client, egress rules, limits by host."""
