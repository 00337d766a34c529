"""Retention: how long batches are kept, what they weigh, and how what is due is deleted."""
