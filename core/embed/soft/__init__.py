"""Soft prompts: token embeddings that no word has, moved until the text they end meets a picture."""
