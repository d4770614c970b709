SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+05:30';
INSERT INTO types VALUES
  (NULL, -128, 255, -32768, -8388608, 16777215, -9223372036854775808, 18446744073709551615,
   '-12345678901234567890123456789012345.123456789012345678901234567890', 9999999999, 1.1, 2.2250738585072014e-308,
   '2024-02-31', '-838:59:59.000000', '9999-12-31 23:59:59.999', '2038-01-19 08:44:07.999999', 2155, 'end  ', 'sp  ', '🎉',
   X'01000000', X'0100', X'00ff', '{"b": [1, 2.5, null, true, "é\\n"], "a": {}}', 'größer', 'x,é'),
  (NULL, 127, 0, 32767, 8388607, 0, 9223372036854775807, 0, '0.000000000000000000000000000001', -1, -0.5, -1.7976931348623157e308,
   '0000-00-00', '-00:00:00.010000', '2024-00-00 00:00:00.001', '1970-01-01 05:30:01', 0, '', '', '', X'', X'', X'', '[]', 'a,b', ''),
  (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
   NULL, NULL, NULL, NULL, NULL);
UPDATE types SET fl = 3.4e38, js = '{"deep": {"er": [[[]]]}, "n": 18446744073709551615}', en = 'small', st = 'y' WHERE id = 2;
UPDATE types SET tiny = 1 WHERE id IN (1, 3);
INSERT INTO types SELECT NULL, tiny, tinyu, small, medium, mediumu, big, bigu, de, de0, fl, dbl, da, ti, dt, ts, ye, ch, vc, tx, bi, vb,
  bl, js, en, st FROM types WHERE id = 1;
DELETE FROM types WHERE id = 1;
