"""`python -m zglearn.data` builds the text cache, whether or not there is one."""

from .cache import build_cache, cache_status

build_cache()
status = cache_status()
print(f"The text cache is {status.state}: {status.path} ({status.size / 1e6:.1f} MB).")
