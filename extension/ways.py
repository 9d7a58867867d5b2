"""How a picture can take part in a generation; apart, because a page is built before torch is needed."""

REPLACE, BLEND, COMPOSE = WAYS = ("replace", "blend", "compose")
