"""The product's own code in virtual time, in weather that a seed determines."""
