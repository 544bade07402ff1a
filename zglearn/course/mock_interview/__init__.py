"""The mock interview: the talk, its panel in a notebook, and when a question comes back."""
