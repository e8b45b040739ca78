"""Kinds of outcomes: a folder each, what they share, and where they are registered."""
