"""What the dashboard counts, as metrics that every room may raise."""
