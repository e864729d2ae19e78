-- Which images wait for a reader, and who has which open.
--
-- When the newest verdict on what an image shows now was given; null while it waits. Verdicts that are there already, and
-- those that a release before this one adds, are noted by the first page of the worklist that a process reads.
alter table image add column read_at integer;

-- In the words of adapters/sql/src/worklist: 1 urgent, 2 flagged, 3 needs a human (so does a state that is not known), 4 the rest.
create index image_waiting on image (
  (case when lane = 'stat' then 1 when flag = 'yes' then 2 when state in ('queued', 'analysing', 'ready') then 4 else 3 end),
  received_at, id) where read_at is null and state not in ('superseded', 'removed');
create index image_waiting_by_site on image (site,
  (case when lane = 'stat' then 1 when flag = 'yes' then 2 when state in ('queued', 'analysing', 'ready') then 4 else 3 end),
  received_at, id) where read_at is null and state not in ('superseded', 'removed');

-- One reader at most has an image open. The name is what verdicts of the same reader bear. A row whose time is over says
-- nothing, and goes with its image.
create table reading_claim (
  image  blob    not null constraint reading_claim_pk primary key,
  reader blob    not null,
  name   text    not null,
  since  integer not null,
  until  integer not null,
  constraint reading_claim_times check (since <= until)
) strict;
