"""Auto Scaling as AWS runs it: a control loop that brings groups to their desired capacity, with lifecycle hooks.

moto's own launches a group's instances at once, all into one subnet, and then forgets about them.
"""
