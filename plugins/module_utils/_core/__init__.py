"""What decides: pure Python, whose effects go through ports, so that node, controller and simulator run the same."""
