SELECT GROUP_CONCAT(id, ':', v, ':', COALESCE(stamp, '-') ORDER BY id) = '2:13:big; bigger+second,3:3:-' FROM a;
SELECT GROUP_CONCAT(which, ':', what ORDER BY id) = '2:inserted,2:DROP TRIGGER changes; BEGIN,3:inserted' FROM b;
SELECT GROUP_CONCAT(TRIGGER_NAME ORDER BY EVENT_MANIPULATION, ACTION_ORDER) = 'into_b,zeroth,changes,second,labelled' FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'ddl_triggers';
