"""Pretraining: losses, optimizer, and priors of one's own."""
