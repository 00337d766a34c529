"""How a batch is cut and run: plan, options, layout, validation, presets; pure, knows neither Temporal nor Django."""
