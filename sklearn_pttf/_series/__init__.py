"""Tables in the order of time: what rows share, and the conditions of the next period."""
