"""What everything may use: devices, files, checks of numbers and columns."""
