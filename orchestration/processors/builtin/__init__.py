"""The processors that come with Canopy, one a module."""
