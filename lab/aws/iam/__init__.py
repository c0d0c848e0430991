"""IAM as AWS enforces it: every call of a role's credentials is judged by its action, its resources and its context.

moto judges the resources of S3 calls only, and knows few conditions.
"""
