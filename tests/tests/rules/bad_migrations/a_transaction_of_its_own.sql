-- postgres rule 5
begin;
create table note (id uuid not null constraint note_pk primary key);
commit;
