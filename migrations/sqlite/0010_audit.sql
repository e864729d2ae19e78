-- The audit record: who saw and did what. Each row has the hash of the one before it (core/src/audit/canonical.rs says of
-- what), so the columns are kept as they were written: words have no `check`, and the detail is text.
create table audit (
  -- Given out in the order of commit, without gaps.
  number     integer constraint audit_pk primary key,
  -- The version of the form that the hash is of.
  v          integer not null,
  at         integer not null,
  action     text    not null,
  actor_kind text    not null,
  actor_id   blob,
  actor      text    not null,
  role       text,
  image      blob,
  site       text,
  subject    blob,
  -- A JSON object.
  detail     text    not null,
  request    text,
  previous   blob    not null,
  hash       blob    not null
) strict;
create index audit_by_action on audit (action, number);
create index audit_by_image on audit (image, number) where image is not null;
create index audit_by_actor on audit (actor_id, number) where actor_id is not null;

-- How far the record was pruned: one row, locked by whoever prunes.
create table audit_pruned (
  only_row integer not null constraint audit_pruned_pk primary key
           constraint audit_pruned_once check (only_row = 1),
  -- The number of the last entry that went; 0 while all are kept.
  up_to    integer not null default 0
) strict;
insert into audit_pruned (only_row) values (1);

-- Entries are added, never changed, and deleted only as far as was said before. Whoever may alter the schema can take
-- these away: what was changed then is found by the chain.
create trigger audit_unchanged before update on audit
begin
  select raise(abort, 'an entry of the audit record is never changed');
end;
create trigger audit_kept before delete on audit
when old.number > (select up_to from audit_pruned)
begin
  select raise(abort, 'an entry of the audit record is only pruned');
end;
