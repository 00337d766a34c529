"""Compares the rows with Temporal and repairs what differs; takes in the events of plugin workers."""
