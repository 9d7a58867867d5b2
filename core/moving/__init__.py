"""Pictures that move: a text walked from line to line, films, and a picture optimised step by step."""
