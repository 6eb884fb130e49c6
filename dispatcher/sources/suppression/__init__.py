"""What is on a suppression list: how it is read, and how its values are compared."""
