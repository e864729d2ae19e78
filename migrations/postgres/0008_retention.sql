-- What is kept for a time only, one row a kind: locked by whoever prunes it, so that one process does at a time.
create table retention (
  kind  text   not null constraint retention_pk primary key
        constraint retention_kind check (kind in ('events', 'quarantine', 'results')),
  -- Of events: the position after the newest that was pruned; 0 while all are kept. Those behind it are all there.
  up_to bigint not null default 0
);
insert into retention (kind) values ('events'), ('quarantine'), ('results');
