"""The definition language: models, parser, expressions, checks, outline."""
