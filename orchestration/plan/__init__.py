"""How a batch is cut and run: plan, options, layout, validation, presets. Pure; knows neither Temporal nor Django."""
