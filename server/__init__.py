"""The page and the API, neutral of hosts: `unrender ui`, `unrender serve` and the webui extension stand on it."""
