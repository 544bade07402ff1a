"""What an exercise is: its bank, how an answer is asked, and how a check comes to a verdict."""
