"""What is placed on foreign objects, and how it is taken off: swaps, a forward patch, a scheduler patch."""
