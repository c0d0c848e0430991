"""A page that shows the cluster as it is now: a manager tells through a shell, and this machine serves it."""
