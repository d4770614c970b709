SELECT COUNT(*) = 0 FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'ddl_events' AND EVENT_NAME <> 'older' AND STATUS = 'ENABLED';
