"""One third party per module; each is imported by who uses that third party, and by nobody else."""
