-- Messages of groups take turns (docs/adr/0051-groups-take-turns.md): the message with the lowest turn is received next.
-- The group is the site that an image comes from, '' where none is said. Those that an earlier release sends have turn 0
-- and come first.
alter table message add column of_group text not null default '';
alter table message add column turn integer not null default 0;

-- What waits, in the order of turns; what is on lease, by when that ends; the last turn of a group.
create index message_turn on message (queue, turn, id) where dead_reason is null and leased = 0;
create index message_lease on message (queue, ready_at, id) where dead_reason is null and leased = 1;
create index message_group on message (queue, of_group, turn) where dead_reason is null;

-- The events of one image: `lobar image`.
create index event_by_image on event (image, seq);
