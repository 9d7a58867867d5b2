"""What is amiss in a folder of pictures, found with its index; nothing is ever deleted."""
