"""What a person does to a batch or its children: checked for permission, and audited."""
