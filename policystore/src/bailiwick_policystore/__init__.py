"""One way from what was heard of policies and data to a snapshot: newest state, counted, compiled in turn, published.

Standing: between the engine, which compiles and decides, and the processes that hear of objects. Holds: level, not
edge: what is to be done follows from the newest state of each object, the budget and what is built, and from nothing
that is said once.
"""
