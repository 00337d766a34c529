"""Parents with a flow of their own: places, resumption, sections."""
