"""Auto Scaling as on AWS: a control loop that keeps groups at their desired capacity, with lifecycle hooks.

moto's version launches a group's instances at once, into a single subnet, and then forgets them.
"""
