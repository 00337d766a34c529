"""Translation and formatting of numbers, durations and the engine's texts."""
