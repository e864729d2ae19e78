-- Verdicts that are taken back, what makes a picture not assessable, and how many readers an image needs.
--
-- What makes a picture not assessable: a JSON list of words. Null in verdicts of earlier releases, and where none was named.
alter table verdict add column causes text;
-- How many readers the image's site had read an image for itself when the verdict was given. Null in verdicts of earlier
-- releases: one.
alter table verdict add column readers_needed bigint;

-- A reader took a verdict of theirs back: it counts no more, and both rows stay. A row goes with its verdict.
create table verdict_withdrawal (
  verdict uuid   not null constraint verdict_withdrawal_pk primary key
          constraint verdict_withdrawal_verdict references verdict (id) on delete cascade,
  reader  text   not null,
  role    text   not null,
  at      bigint not null
);
