-- postgres rule 5
create table copy (id uuid not null constraint copy_pk primary key);
insert into copy (id) select id from image;
