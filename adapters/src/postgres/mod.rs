//! PostgreSQL: the store and the queues of several processes.
