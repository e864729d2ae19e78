-- What waits on a queue in the order of turns; what is on lease, by when that ends; the last turn of a group. Without them
-- a receive and a send read all that waits.
drop index concurrently if exists message_turn;
create index concurrently message_turn on message (queue, turn, id) where dead_reason is null and leased = 0;
drop index concurrently if exists message_lease;
create index concurrently message_lease on message (queue, ready_at, id) where dead_reason is null and leased = 1;
drop index concurrently if exists message_group;
create index concurrently message_group on message (queue, of_group, turn) where dead_reason is null;
