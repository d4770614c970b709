INSERT INTO `we``ird %s.na me` VALUES (1, '%s', 2, 3), (2, 'it''s \\ "q"', NULL, 4);
UPDATE `we``ird %s.na me` SET `%d %s` = '100%' WHERE `ord``er` = 1;
INSERT INTO `täblè 表` VALUES (1, 'ä'), (2, 'b');
UPDATE `täblè 表` SET `wért` = 'ö表' WHERE `ключ` IN (1, 2);
INSERT INTO `an_eight_times_eight_letters_long_name_of_a_table_for_the_topics` VALUES (1, 2, 3, 4), (2, 3, 4, 5);
UPDATE `an_eight_times_eight_letters_long_name_of_a_table_for_the_topics` SET v = v + 1;
INSERT INTO v VALUES (1, 1, 1), (2, 2, 2);
UPDATE v SET column_1 = column_0 + 5;
DELETE FROM v WHERE id = 2;
