//! Redis: the signal, the cache of results, and who is at work. Never the truth.
