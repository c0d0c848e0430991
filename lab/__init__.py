"""A small AWS on one machine, whose instances are real hosts running a real Docker engine."""
