"""What an author runs: notebooks in order, exercises derived, checks tried, the hand-out."""
