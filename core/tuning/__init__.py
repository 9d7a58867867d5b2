"""What a checkpoint and its CLIP learn from pictures: of one domain, or of one subject."""
