"""The processor decorator, its registry, and what processors may use."""
