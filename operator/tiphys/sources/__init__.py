"""From a repository's URL to manifests: Git and its credentials, renderers, content keys, caches.

``git/`` keeps bare mirrors and reads commits, trees and files out of them; ``render/`` turns files
into manifests. Everything on disk is a cache and may be thrown away at any moment. The room knows
repositories and settings, never clusters.
"""
