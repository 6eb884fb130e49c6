"""DogStatsD metrics."""
