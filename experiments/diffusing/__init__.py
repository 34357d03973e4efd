"""Scores of the score-matching experiment: what learns them, what is made of them, and how it is judged."""
