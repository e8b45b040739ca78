"""Real values, with standard errors if they are known."""
