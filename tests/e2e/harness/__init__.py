"""What the end-to-end tests stand on: a certificate authority, receivers, the server, a client.

Nothing here knows how Hookswitch works inside: the binary, its command line, its HTTP routes and
the requests that it sends are the only things touched.
"""
