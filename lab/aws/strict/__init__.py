"""Where AWS refuses what moto takes."""
