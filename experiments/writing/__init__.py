"""A text to learn from, what the model then writes, and how well it guesses."""
