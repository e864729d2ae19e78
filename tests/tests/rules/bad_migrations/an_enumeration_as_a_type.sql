-- postgres rule 6
create type mood as enum ('good', 'bad');
