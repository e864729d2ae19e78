-- postgres rule 3
create table visit (
  id    uuid not null primary key,
  image uuid not null references image (id),
  kind  text not null check (kind in ('first', 'second')),
  seq   bigint not null constraint visit_seq unique,
  unique (image, kind)
);
