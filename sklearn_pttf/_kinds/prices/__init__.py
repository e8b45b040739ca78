"""Demand at prices: amounts that fall along a row's demand curve."""
