"""What the sensor-fusion experiment needs besides the wing: problems, the tracker in hand, its report and figures."""
