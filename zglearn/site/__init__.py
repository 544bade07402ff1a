"""What whoever publishes the course runs: pages that need no kernel, and the book."""
