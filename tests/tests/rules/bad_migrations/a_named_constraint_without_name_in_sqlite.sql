-- sqlite rule 3
create table visit (id blob not null constraint visit_pk primary key, note text unique) strict;
