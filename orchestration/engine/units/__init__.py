"""What a fan-out starts inside its window: children, partitions, pages, pool, entities, rollbacks."""
