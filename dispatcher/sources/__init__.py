"""Where contacts are read from: CSV and JSON Lines files, folders, standard input."""
