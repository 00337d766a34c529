"""What a person does to a batch or its children, each permitted and audited."""
