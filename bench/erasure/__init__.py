"""A planted person in a workspace that is otherwise the digits: what the independent search finds of them, and when."""
