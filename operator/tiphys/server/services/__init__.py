"""The services of the API: one module or folder for each, every method once (``api.rpc``)."""
