"""Talking to Kubernetes API servers: connections, discovery, calls, watches.

Pure asyncio over aiohttp. Nothing here knows what an Application is; the settings room describes
clusters, this room reaches them. ``connections`` says where and as whom, ``transport`` sends one
request well (limits, retries, credentials), ``discovery`` knows the kinds, ``client`` offers the
verbs, ``streaming`` turns a watch into lines. Every failure is one of the types in ``errors``.
"""
