"""What priors of all kinds have in common: ranges of hyperparameters, and drawing."""
