"""Settings: ConfigMaps and Secrets as immutable typed snapshots, see ``store.py``."""
