-- sqlite rule 6
create table note (id blob not null constraint note_pk primary key);
