-- Which images wait for a reader, and who has which open.
--
-- When the newest verdict on what an image shows now was given; null while it waits. Verdicts that are there already, and
-- those that a release before this one adds, are noted by the first page of the worklist that a process reads.
-- A column that is nullable and a new table: nothing that is there is read or locked for long.
alter table image add column read_at bigint;

-- One reader at most has an image open. The name is what verdicts of the same reader bear. A row whose time is over says
-- nothing, and goes with its image.
create table reading_claim (
  image  uuid    not null constraint reading_claim_pk primary key,
  reader uuid    not null,
  name   text    not null,
  since  bigint  not null,
  until  bigint  not null,
  constraint reading_claim_times check (since <= until)
);
