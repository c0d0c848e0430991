"""Measurements on the lab, each a ratio of two measurements in the same run. No test asserts a time."""
