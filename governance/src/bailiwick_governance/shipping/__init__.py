"""From the file that a decision point writes into an object store: whole lines, byte for byte, once.

Standing: under the verb `ship`. Holds: the file is opened for reading alone; an object in the store is made once and
never replaced, and what it holds is compared with the file before it is taken for stored.
"""
