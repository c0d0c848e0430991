"""A small AWS on a single machine, whose instances are hosts with real Docker engines."""
