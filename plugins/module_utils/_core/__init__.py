"""The decisions: pure Python. Effects go through ports, so node, controller and simulator run the same code."""
