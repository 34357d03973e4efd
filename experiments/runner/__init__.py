"""The shelf that every experiment takes from: flags, run directories, stages and their training, figures, the end."""
