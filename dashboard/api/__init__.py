"""The JSON API: one router a resource."""
