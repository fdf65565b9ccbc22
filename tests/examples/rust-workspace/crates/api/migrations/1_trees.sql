create table trees (id int);
