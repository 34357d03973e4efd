"""What the reinforcement learning experiment is made of: agents, ways to learn, reports, pictures, gymnasium."""
