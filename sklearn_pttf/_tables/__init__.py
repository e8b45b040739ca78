"""Tables of instances as plain arrays: periods, rows far out, bands of levels."""
