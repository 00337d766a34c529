"""HTTP views, one module a screen."""
