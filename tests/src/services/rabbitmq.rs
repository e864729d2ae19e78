//! RabbitMQ: one broker a test process.
