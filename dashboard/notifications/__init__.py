"""Triggers, subscriptions and delivery of notifications by webhook and e-mail."""
