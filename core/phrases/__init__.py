"""Phrases a prompt can be made of, and their embeddings."""

from .vocabulary import CATEGORIES, NEGATIVE, Category, Vocabulary, load_vocabulary

__all__ = ["CATEGORIES", "NEGATIVE", "Category", "Vocabulary", "load_vocabulary"]
