-- Messages of groups take turns (docs/adr/0051-groups-take-turns.md): the message with the lowest turn is received next.
-- The group is the site that an image comes from, '' where none is said. Those that an earlier release sends have turn 0
-- and come first. The indexes are deferred; without them a receive sorts what waits.
alter table message add column of_group text not null default '';
alter table message add column turn bigint not null default 0;
