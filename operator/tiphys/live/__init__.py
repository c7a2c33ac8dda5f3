"""What is in the destination clusters, held small and kept current.

One ``ClusterCache`` a cluster: a state machine for each kind (``following``) feeds records
(``records``, made by ``reading``) into a store with the indexes that reconciling needs (``store``):
by application, by owner, by namespace. ``tree`` turns it into the resource tree of the API. Nothing
here knows Git, projects or how objects are written.
"""
