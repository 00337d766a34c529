"""What workers read and write: slices of items, results, pages of input, sections, reports."""
