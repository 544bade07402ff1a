"""The widgets, one file for each. Import them from `zglearn.visual`."""
