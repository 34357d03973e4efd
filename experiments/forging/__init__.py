"""What the GAN experiment is made of: what is forged, by whom, how well, and what that looks like."""
