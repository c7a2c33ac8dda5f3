"""``/terminal``: a shell in a container of an Application's Pod, over a websocket (api.md 14).

``asking`` reads what is asked for, ``admission`` decides who may, ``remote`` speaks the API server's exec
protocol, ``browser`` the frames of the UI, ``session`` ties the two together, ``routes`` is the page.
"""
