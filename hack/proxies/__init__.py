"""Real proxies for tests of enforcement: Envoy from a Python wheel, nginx, HAProxy and Caddy.

Standing: test bed only; beside `localcluster`, whose cache, installer and builder it uses.
"""
