"""A page that shows the cluster as it is now: a manager sends the data through a shell, and this machine serves it."""
