"""What somebody needs who is to find out what is wrong with a cluster, without its secrets."""
