"""The shelf of the matrix factorization experiment: its problem as arrays, its ranking, its figures, its use."""
