"""CloudWatch, as far as moto has none: AWS's own metrics, and alarms that go off.

AWS measures once a minute. Here that is once in ten seconds, and a period of an alarm on AWS's own metrics passes six
times as fast, so that nobody has to wait.
"""

AWS_SPEED = 6.0
EVERY = 60 / AWS_SPEED
