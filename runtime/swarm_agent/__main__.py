"""Lets ``python3 -m`` run the agent from a checkout."""

from .cli import main

main()
