"""Refuses what AWS refuses and moto accepts."""
