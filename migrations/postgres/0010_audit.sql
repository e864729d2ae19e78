-- The audit record: who saw and did what. Each row has the hash of the one before it (core/src/audit/canonical.rs says of
-- what), so the columns are kept as they were written: words have no `check`, and the detail is text.
create table audit (
  -- Given out in the order of commit, without gaps, under the lock that events are numbered under.
  number     bigint  not null constraint audit_pk primary key,
  -- The version of the form that the hash is of.
  v          bigint  not null,
  at         bigint  not null,
  action     text    not null,
  actor_kind text    not null,
  actor_id   uuid,
  actor      text    not null,
  role       text,
  image      uuid,
  site       text,
  subject    uuid,
  -- A JSON object.
  detail     text    not null,
  request    text,
  previous   bytea   not null,
  hash       bytea   not null
);
create index audit_by_action on audit (action, number);
create index audit_by_image on audit (image, number) where image is not null;
create index audit_by_actor on audit (actor_id, number) where actor_id is not null;

-- How far the record was pruned: one row, locked by whoever prunes.
create table audit_pruned (
  only_row bigint not null constraint audit_pruned_pk primary key
           constraint audit_pruned_once check (only_row = 1),
  -- The number of the last entry that went; 0 while all are kept.
  up_to    bigint not null default 0
);
insert into audit_pruned (only_row) values (1);

-- Entries are added, never changed, and deleted only as far as was said before. Whoever owns the table can take these
-- away: what was changed then is found by the chain.
create function audit_refuse() returns trigger language plpgsql as $$
begin
  raise exception 'an entry of the audit record is never changed';
end $$;
create function audit_refuse_unpruned() returns trigger language plpgsql as $$
begin
  if old.number > (select up_to from audit_pruned) then
    raise exception 'an entry of the audit record is only pruned';
  end if;
  return old;
end $$;
create trigger audit_unchanged before update on audit
  for each row execute function audit_refuse();
create trigger audit_kept before delete on audit
  for each row execute function audit_refuse_unpruned();
create trigger audit_not_emptied before truncate on audit
  for each statement execute function audit_refuse();
