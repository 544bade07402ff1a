"""Tools of those who write the course."""
