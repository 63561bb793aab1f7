"""Calls from replica to replica over connections that last; through Serve's handles where there is none.

A call by a handle costs Serve 2 to 3 ms of processor time in two processes, whatever is in it; one over a
connection about a tenth of that. A replica listens from the first call of `address`, which is made through
Serve and returns the address and a key.
"""
