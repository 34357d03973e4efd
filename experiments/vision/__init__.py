"""Images to learn from, how well they are told apart, and what a network looks at."""
