"""Measurements on the lab, each a ratio of two things measured in one run. No test asserts a time."""
