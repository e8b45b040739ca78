"""What computations are kept from by rounding, or by numbers that floats do not have."""

TINY = 1e-300  # divided by, or taken the log of, in place of 0
TINY_SINGLE = 1e-30  # likewise, in single precision, which ends at 1e-38
# a probability that is at least so far from 0 and 1 has a finite logit and normal score; doubles
# next to 1 are 1e-16 apart, so nothing that can be told apart becomes equal
NEAREST = 1e-15
BELOW_ONE = 1 - 1e-16  # the largest double below 1
ROUNDED = 1e-9  # what sums over many numbers are off by at most, relatively, with digits to spare
EXACT = 1e-12  # likewise, of a few operations
