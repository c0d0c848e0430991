"""Diagnosis data of a cluster, without its secrets."""
