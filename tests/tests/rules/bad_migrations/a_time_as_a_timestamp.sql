-- postgres rule 6
create table note (id uuid not null constraint note_pk primary key, made_at timestamptz not null);
