-- What became of a message in quarantine: it waits for an operator, is on its queue again, or was thrown away (and its
-- body with it).
alter table quarantine add column state text not null default 'waiting'
  constraint quarantine_state check (state in ('waiting', 'replayed', 'discarded'));
alter table quarantine add column changed_at integer;
alter table quarantine add column changed_by text;
-- How many wait, by reason: read for every scrape.
create index quarantine_waiting on quarantine (reason) where state = 'waiting';

-- Rows that mean nothing: one is written to find out whether the database takes changes, others when the notification of
-- an object arrives that `lobar doctor` put into the bucket to see it arrive.
create table probe (
  name text    not null constraint probe_pk primary key,
  at   integer not null
) strict;
