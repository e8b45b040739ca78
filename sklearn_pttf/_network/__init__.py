"""The decision network, reading tables with it, and files of its weights."""
