"""`python -m zglearn.data` makes sure that the text cache is there and whole."""

from .cache import build_cache

status = build_cache()
print(f"The text cache is {status.state}: {status.path} ({status.size / 1e6:.1f} MB)")
