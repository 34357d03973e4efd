"""What the reinforcement learning experiment needs besides the wing: its policies at play in gymnasium."""
