"""What may leave the machine of a mix, and how it comes back: pointers, versions, push and rehydrate."""
