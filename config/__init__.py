"""Shipped YAML and mail templates, read by importlib.resources alone."""
