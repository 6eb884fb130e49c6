"""The engine: intake, claims, workers, halts, reconciliation and drain."""
