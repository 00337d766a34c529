"""Where people find the dashboard: CANOPY_URL in parts, and the settings that follow from it."""
