"""Typed contexts of the templates, one module a page."""
