"""What operators see: DogStatsD metrics, structured logs, health."""
