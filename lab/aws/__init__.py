"""A small AWS: moto, extended where the product needs what moto lacks. Independent of what runs its instances."""
