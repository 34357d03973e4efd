"""The gallery: every run under runs/ on one page that needs nothing else."""
