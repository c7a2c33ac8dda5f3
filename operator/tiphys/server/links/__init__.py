"""Deep links: addresses of other systems, made of templates of the admin (health-and-resources.md 13.1).

``data`` says which objects a template may see; Secrets are masked in it and tokens are not there.
"""
