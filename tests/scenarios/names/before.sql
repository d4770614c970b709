CREATE TABLE `we``ird %s.na me` (`ord``er` INT PRIMARY KEY, `%d %s` VARCHAR(20), `a.b` INT, `select` INT);
CREATE TABLE `täblè 表` (`ключ` INT PRIMARY KEY, `wért` TEXT);
CREATE TABLE `an_eight_times_eight_letters_long_name_of_a_table_for_the_topics` (id INT PRIMARY KEY, _x41 INT, `1st` INT, v INT);
CREATE TABLE `v` (id INT PRIMARY KEY, column_0 INT, column_1 INT);
