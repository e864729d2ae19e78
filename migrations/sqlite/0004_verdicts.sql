-- What doctors said of images. Rows are only added; they go when the image is removed, since a reader's words
-- may be personal. Within an image no two have the same time, so the one with the highest is the newest.
create table verdict (
  id            blob    not null constraint verdict_pk primary key,
  image         blob    not null constraint verdict_image references image (id),
  -- Of the finding that was shown; null where there was none.
  model_version text,
  opinion       text    not null constraint verdict_opinion check (opinion in
                  ('agree', 'disagree', 'not_assessable')),
  -- What it comes to.
  label         text    constraint verdict_label check (label in ('PNEUMONIA', 'NORMAL')),
  -- In the reader's words; may be empty.
  reason        text    not null,
  reader        text    not null,
  role          text    not null,
  -- What was displayed: a JSON list of words.
  displayed     text    not null,
  at            integer not null,
  constraint verdict_has_label check ((label is null) = (opinion = 'not_assessable')),
  constraint verdict_order unique (image, at)
) strict, without rowid;
-- Pages of labels.
create index verdict_labels on verdict (at, id) where label is not null;

-- Whether an event tells of a verdict, and not of a change of state.
alter table event add column verdict integer not null default 0;
