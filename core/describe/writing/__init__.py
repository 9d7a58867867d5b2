"""Models that write: captioners that continue, and models that talk."""
