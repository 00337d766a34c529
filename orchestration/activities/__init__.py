"""The activities that workers run for workflows: items, parents, results."""
