"""--sweep: an experiment at every combination of some flags' values, all together where only numbers change."""
