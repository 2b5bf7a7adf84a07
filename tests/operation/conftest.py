"""The kits are importable, however the suite is started."""
