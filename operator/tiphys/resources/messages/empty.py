"""The message without fields, ``google.protobuf.Empty``: the request of methods that ask for nothing."""

from tiphys.resources.shape import ApiObject


class Empty(ApiObject, frozen=True):
    """Nothing."""
