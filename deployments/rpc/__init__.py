"""Calls from replica to replica over connections that last; Serve's handles where there is none.

A call by a handle costs Serve 2 to 3 ms of processor time in two processes, whatever is in it; one over a
connection about a tenth of that. A replica listens when it is first asked for its address, and tells it to
whoever reaches it through Serve, with a key.
"""
