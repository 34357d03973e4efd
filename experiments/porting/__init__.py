"""What a port to other devices needs to know beforehand: it exports, compiles, fits, and computes the same."""
