-- What became of a message in quarantine: it waits for an operator, is on its queue again, or was thrown away (and its
-- body with it). A constant default rewrites nothing.
alter table quarantine add column state text not null default 'waiting';
alter table quarantine add constraint quarantine_state
  check (state in ('waiting', 'replayed', 'discarded')) not valid;
alter table quarantine add column changed_at bigint;
alter table quarantine add column changed_by text;

-- Rows that mean nothing: one is written to find out whether the database takes changes, others when the notification of
-- an object arrives that `lobar doctor` put into the bucket to see it arrive.
create table probe (
  name text   not null constraint probe_pk primary key,
  at   bigint not null
);
