"""Reads outside of a run, which send nothing: the dry run and the lineage check."""
