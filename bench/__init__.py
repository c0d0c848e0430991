"""Measurements on the lab, each a ratio of two times in the same run. No test asserts a time."""
