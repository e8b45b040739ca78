"""Poisson counts over an exposure, and successes in trials."""
