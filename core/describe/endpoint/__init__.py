"""Servers that are asked for a description over HTTP, as OpenAI's chat completions have it."""
