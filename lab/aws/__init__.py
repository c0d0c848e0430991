"""A small AWS: moto, extended where the product needs what moto lacks. Knows nothing of what runs its instances."""
