"""A fleet of 3 + 20 engines: built, a zone lost, scaled down, upgraded and destroyed."""
