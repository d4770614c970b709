INSERT INTO charsets VALUES ('é', X'8081E9FF', 'ascii', '表', 'é', 'ü,v'), ('€', '', '', '', 'b', '');
UPDATE charsets SET a = 'x', u3 = 'é' WHERE k = 'é';
UPDATE charsets SET l = CONCAT(l, X'81'), e = 'é';
DELETE FROM charsets WHERE k = '€';
