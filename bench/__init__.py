"""Measurements on the lab, each beside another way to the same end, in the same run. `make bench` runs them all.

No test asserts a time.
"""
