"""CloudWatch features that moto lacks: AWS's own metrics, and alarms that change state.

AWS measures once a minute. The lab measures every ten seconds, and a period of an alarm on AWS's own metrics passes six
times as fast.
"""

AWS_SPEED = 6.0
EVERY = 60 / AWS_SPEED
