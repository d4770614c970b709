SELECT COUNT(*) = 6 FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'ddl_events';
SELECT GROUP_CONCAT(id, ':', what ORDER BY id) = '1:ENABLE,1000:at once' FROM item;
