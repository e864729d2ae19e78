//! RabbitMQ: job queues, a lane each.
