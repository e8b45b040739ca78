"""What computations are kept from by rounding, or by numbers that floats do not have."""

TINY = 1e-300  # divided by, or taken the log of, in place of 0
TINY_SINGLE = 1e-30  # likewise, in single precision, which ends at 1e-38
# a probability that is at least so far from 0 and 1 has a finite logit and normal score; doubles
# next to 1 are 1e-16 apart, so nothing that can be told apart becomes equal
NEAREST = 1e-15
ROUNDED = 1e-9  # what sums and products of doubles are off by at most, with digits to spare
