INSERT INTO composite_key VALUES (1, 'x', X'01', 1), (1, 'x', X'0100FF00', 2), (2, 'x', X'01', 3);
UPDATE composite_key SET v = v + 10 WHERE c = X'01000000';
DELETE FROM composite_key WHERE a = 2;
