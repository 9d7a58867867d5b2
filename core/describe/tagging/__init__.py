"""Taggers: networks that tell of each tag of their list how sure they are."""
