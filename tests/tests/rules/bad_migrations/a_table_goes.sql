-- postgres rule 2
drop table event;
