"""How the micro models were made and measured: `python -m training.NAME` from a checkout. No part of the package."""
