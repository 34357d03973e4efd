"""The same work here and in the libraries that people use today, side by side."""
