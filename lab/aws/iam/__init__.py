"""IAM as AWS enforces it: judges every call by its action, its resources and its context.

moto judges resources only for S3, and supports few conditions.
"""
