-- The tool's own tables on each side, and every statement that reads or writes them.
-- {c} is the quoted control schema. A statement is named by the line before it.

-- name: create_applied
-- Progress = origin marker: one row a direction into this side. Updated first in every apply transaction, so that the
-- producer of this side sees at the head of the transaction where it began.
CREATE TABLE IF NOT EXISTS {c}.applied (
  topology VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  source_side VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  stream VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'id of the source stream',
  first_sequence BIGINT NOT NULL COMMENT 'the commit that wrote this row covers first_sequence to sequence',
  sequence BIGINT NOT NULL,
  transactions INT NOT NULL COMMENT 'source transactions applied by the commit that wrote this row',
  gtid VARCHAR(120) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'of the last applied source transaction',
  committed_at BIGINT NOT NULL COMMENT 'its commit time at the source, microseconds since 1970 UTC',
  applied_at BIGINT NOT NULL COMMENT 'when this row was written, microseconds since 1970 UTC',
  barrier BIGINT NOT NULL COMMENT 'number of the last barrier of the source side that has arrived',
  applied_transactions BIGINT NOT NULL,
  applied_rows BIGINT NOT NULL,
  dropped_own_origin BIGINT NOT NULL COMMENT 'source transactions that had begun here',
  dropped_repeated BIGINT NOT NULL COMMENT 'events fetched again and dropped by sequence',
  conflicts BIGINT NOT NULL,
  already_applied BIGINT NOT NULL COMMENT 'changes that were there already, and no conflict',
  seen BIGINT NOT NULL DEFAULT 0 COMMENT 'the least of this side that the source had applied before what the commit applied',
  PRIMARY KEY (topology, source_side)
) ENGINE=InnoDB;

-- name: create_applied_offsets
CREATE TABLE IF NOT EXISTS {c}.applied_offsets (
  topology VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  source_side VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  topic VARCHAR(249) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  kafka_partition INT NOT NULL,
  next_offset BIGINT NOT NULL COMMENT 'the first offset that is not applied yet',
  PRIMARY KEY (topology, source_side, topic, kafka_partition)
) ENGINE=InnoDB;

-- name: create_conflicts
CREATE TABLE IF NOT EXISTS {c}.conflicts (
  id BIGINT NOT NULL AUTO_INCREMENT,
  topology VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at BIGINT NOT NULL COMMENT 'microseconds since 1970 UTC',
  source_side VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  target_side VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  table_name VARCHAR(140) NOT NULL COMMENT 'db.table',
  row_key JSON NOT NULL,
  type VARCHAR(32) NOT NULL COMMENT 'as in docs/conflicts.md: insert_exists …',
  policy VARCHAR(32) NOT NULL,
  decision VARCHAR(16) NOT NULL COMMENT 'source, target, merged, pending, skipped',
  before_image JSON NULL,
  incoming_image JSON NULL,
  local_rows JSON NOT NULL,
  stream VARCHAR(32) NOT NULL,
  sequence BIGINT NOT NULL,
  event_order INT NOT NULL,
  gtid VARCHAR(120) NOT NULL,
  committed_at BIGINT NOT NULL COMMENT 'of the change at its source, microseconds since 1970 UTC',
  list_offset BIGINT NOT NULL COMMENT 'of its transaction in the list of the source side',
  resolution VARCHAR(16) NULL COMMENT 'what somebody has decided about a pending one: source, target',
  PRIMARY KEY (id),
  KEY (topology, source_side, sequence),
  KEY aged (topology, source_side, at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- name: create_refreshes
-- What the arbiter sends back of changes that were not clean: its producer reads it in the binlog. Rows of the last target
-- transaction with any; the next one replaces them.
CREATE TABLE IF NOT EXISTS {c}.refreshes (
  topology VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  number BIGINT NOT NULL COMMENT 'within the transaction',
  sequence BIGINT NOT NULL COMMENT 'of the last source transaction in it: a row that is put again is another row, else it would not be logged',
  table_db VARCHAR(64) NOT NULL,
  table_name VARCHAR(64) NOT NULL,
  role VARCHAR(16) NOT NULL COMMENT 'mark, document, present, absent, wild',
  columns MEDIUMTEXT NOT NULL COMMENT 'JSON: name, kind, type and character set of each, and the positions of the key',
  image LONGBLOB NULL COMMENT 'Avro, as in an event of the table',
  document JSON NULL COMMENT 'a column of the present row that follows, with the types of its values, which its text lacks',
  PRIMARY KEY (topology, number)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- name: write_refresh
-- Its values follow, as text, or a SELECT of them.
REPLACE INTO {c}.refreshes

-- name: create_ddl_log
CREATE TABLE IF NOT EXISTS {c}.ddl_log (
  id BIGINT NOT NULL AUTO_INCREMENT,
  topology VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  source_side VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at BIGINT NOT NULL,
  statement LONGTEXT NOT NULL,
  state VARCHAR(16) NOT NULL COMMENT 'running: begun, and not known to be done; applied, held, ignored, drift, skipped',
  why TEXT NOT NULL,
  stream VARCHAR(32) NOT NULL,
  sequence BIGINT NOT NULL,
  gtid VARCHAR(120) NOT NULL,
  decision VARCHAR(16) NULL COMMENT 'what somebody has decided about a held one: approve, skip',
  tables JSON NULL COMMENT 'names that it holds back while it is held; null: all',
  event LONGBLOB NULL COMMENT 'Avro, as in the DDL topic',
  connection_id BIGINT NULL COMMENT 'of the session that runs it: by this its event in the binlog is known',
  log_place VARCHAR(300) NULL COMMENT 'file:position of this side''s binlog before it was begun',
  PRIMARY KEY (id),
  UNIQUE KEY (topology, source_side, stream, sequence)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- name: create_directions
-- One row a direction on both of its sides: the source's is the producer's, the target's the applier's.
CREATE TABLE IF NOT EXISTS {c}.directions (
  topology VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  source_side VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  target_side VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  wanted VARCHAR(16) NOT NULL DEFAULT 'running' COMMENT 'running, paused',
  error JSON NULL COMMENT 'code, message, hint, conflict_id, gtid; null while it goes on',
  skips JSON NOT NULL COMMENT '[{gtid, reason, at}] passes to be used',
  skipped JSON NOT NULL COMMENT '[{gtid, reason, at, tables, reset_at}] passes that were used: their tables want a verify; reset_at: before an init --reset',
  PRIMARY KEY (topology, source_side, target_side)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- name: create_processes
CREATE TABLE IF NOT EXISTS {c}.processes (
  topology VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(140) NOT NULL COMMENT 'producer east, applier west, supervisor',
  state VARCHAR(16) NOT NULL COMMENT 'starting, standby, running, waiting, failed, stopped',
  host VARCHAR(255) NOT NULL,
  pid INT NOT NULL,
  restarts INT NOT NULL,
  started_at BIGINT NOT NULL,
  seen_at BIGINT NOT NULL COMMENT 'written every 5 s while it lives',
  detail JSON NOT NULL COMMENT 'what it waits for, its figures',
  PRIMARY KEY (topology, name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- name: create_heartbeat
-- Barriers of `wait`: the producer lists the commit that raises the number.
CREATE TABLE IF NOT EXISTS {c}.heartbeat (
  topology VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  side VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  barrier BIGINT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (topology, side)
) ENGINE=InnoDB;

-- name: create_initialization
-- What initialization has brought of each object of a direction, on its target; kind `direction`: of the direction as a whole.
CREATE TABLE IF NOT EXISTS {c}.initialization (
  topology VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  from_side VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  to_side VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  schema_name VARCHAR(64) COLLATE utf8mb4_bin NOT NULL,
  object_name VARCHAR(64) COLLATE utf8mb4_bin NOT NULL,
  kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'table',
  structure VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '' COMMENT 'running: begun, and not known to be made; made, found, left_out',
  stream VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '' COMMENT 'id of the source stream',
  barrier BIGINT NOT NULL DEFAULT 0 COMMENT 'of the source: its structure is of the moment when this was raised',
  definition LONGTEXT NULL COMMENT 'JSON: what is being made, until it was looked at; of the direction: the times that it came to its end',
  state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '' COMMENT 'of the rows',
  rows_estimate BIGINT NULL,
  rows_done BIGINT NOT NULL DEFAULT 0,
  chunks_done BIGINT NOT NULL DEFAULT 0,
  frontier LONGTEXT NULL COMMENT 'JSON: up to where rows are there',
  PRIMARY KEY (topology, from_side, to_side, schema_name, object_name, kind)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- name: create_recoveries
-- `recover`: where it is. It commits with the rows that it speaks of.
CREATE TABLE IF NOT EXISTS {c}.recoveries (
  topology VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  state VARCHAR(16) NOT NULL COMMENT 'running, done',
  stream VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'this side''s stream that is recovered',
  continued VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'the stream that goes on behind it',
  sequence BIGINT NOT NULL COMMENT 'of that stream, up to which this side has it again',
  last_sequence BIGINT NOT NULL COMMENT 'the last one of it',
  standing JSON NOT NULL COMMENT 'where the server stood before',
  at BIGINT NOT NULL COMMENT 'when it was begun, microseconds since 1970 UTC',
  PRIMARY KEY (topology)
) ENGINE=InnoDB;

-- name: read_recovery
SELECT state, stream, continued, sequence, last_sequence, standing FROM {c}.recoveries WHERE topology = %s;

-- name: begin_recovery
REPLACE INTO {c}.recoveries (topology, state, stream, continued, sequence, last_sequence, standing, at)
 VALUES (%s, 'running', %s, %s, %s, %s, %s, %s);

-- name: move_recovery
-- Compare and set, as for `applied`.
UPDATE {c}.recoveries SET sequence = %s WHERE topology = %s AND state = 'running' AND stream = %s AND sequence = %s;

-- name: end_recovery
UPDATE {c}.recoveries SET state = 'done' WHERE topology = %s;

-- name: recover_applied
-- The marker of what a side gets again of its own: progress goes to what it had applied by then.
UPDATE {c}.applied SET first_sequence = sequence + 1, transactions = 0, seen = 0, applied_at = GREATEST(applied_at + 1, %s),
 gtid = IF(sequence = %s, gtid, ''), sequence = %s, applied_transactions = applied_transactions + %s,
 applied_rows = applied_rows + %s WHERE topology = %s AND source_side = %s AND stream = %s AND sequence = %s;

-- name: continue_applied
-- A stream goes on under another name behind what has been applied of it.
UPDATE {c}.applied SET stream = %s WHERE topology = %s AND source_side = %s AND stream = %s AND sequence = %s;

-- name: continue_held
-- What is held of it stays so.
UPDATE {c}.ddl_log SET stream = %s WHERE topology = %s AND source_side = %s AND stream = %s AND state = 'held';

-- name: lift_barrier
UPDATE {c}.heartbeat SET barrier = GREATEST(barrier, %s) WHERE topology = %s AND side = %s;

-- name: recovered_ddl
SELECT state, connection_id, log_place FROM {c}.ddl_log WHERE topology = %s AND source_side = %s AND stream = %s AND sequence = %s;

-- Columns that came later: each is added to a table that was made without it, by whichever process starts first.

-- name: add_applied_seen
ALTER TABLE {c}.applied ADD COLUMN seen BIGINT NOT NULL DEFAULT 0
 COMMENT 'the least of this side that the source had applied before what the commit applied';

-- name: add_conflicts_resolution
ALTER TABLE {c}.conflicts ADD COLUMN resolution VARCHAR(16) NULL
 COMMENT 'what somebody has decided about a pending one: source, target', ADD KEY aged (topology, source_side, at);

-- name: add_ddl_log_decision
ALTER TABLE {c}.ddl_log ADD COLUMN decision VARCHAR(16) NULL COMMENT 'what somebody has decided about a held one: approve, skip',
 ADD COLUMN tables JSON NULL COMMENT 'names that it holds back while it is held; null: all',
 ADD COLUMN event LONGBLOB NULL COMMENT 'Avro, as in the DDL topic',
 ADD COLUMN connection_id BIGINT NULL COMMENT 'of the session that runs it: by this its event in the binlog is known',
 ADD COLUMN log_place VARCHAR(300) NULL COMMENT 'file:position of this side''s binlog before it was begun';

-- name: get_lock
SELECT GET_LOCK(%s, %s);

-- name: lock_is_held
SELECT IS_USED_LOCK(%s) <=> CONNECTION_ID();

-- name: lock_holder
SELECT IS_USED_LOCK(%s);

-- name: uptime
SHOW GLOBAL STATUS LIKE 'Uptime';

-- name: end_connection
KILL %s;

-- name: insert_direction
INSERT IGNORE INTO {c}.directions (topology, source_side, target_side, skips, skipped) VALUES (%s, %s, %s, '[]', '[]');

-- name: read_directions
SELECT source_side, target_side, wanted, error, skips, skipped FROM {c}.directions WHERE topology = %s;

-- name: set_wanted
UPDATE {c}.directions SET wanted = %s WHERE topology = %s AND source_side = %s AND target_side = %s;

-- name: set_error
UPDATE {c}.directions SET error = %s WHERE topology = %s AND source_side = %s AND target_side = %s;

-- name: add_skip
UPDATE {c}.directions SET skips = JSON_ARRAY_APPEND(skips, '$', JSON_OBJECT('gtid', %s, 'reason', %s, 'at', %s))
 WHERE topology = %s AND source_side = %s AND target_side = %s;

-- name: lock_skips
-- As they are by now, whatever the transaction has seen before; nobody writes them until it ends.
SELECT skips, skipped FROM {c}.directions WHERE topology = %s AND source_side = %s AND target_side = %s FOR UPDATE;

-- name: set_skips
UPDATE {c}.directions SET skips = %s, skipped = %s WHERE topology = %s AND source_side = %s AND target_side = %s;

-- name: mark_verified
-- Only where the record is as it was read: an applier may have used a pass meanwhile.
UPDATE {c}.directions SET skipped = %s WHERE topology = %s AND source_side = %s AND target_side = %s AND skipped = CAST(%s AS JSON);

-- name: report_process
INSERT INTO {c}.processes (topology, name, state, host, pid, restarts, started_at, seen_at, detail)
 VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) AS fresh
 ON DUPLICATE KEY UPDATE state = fresh.state, host = fresh.host, pid = fresh.pid, restarts = fresh.restarts,
 started_at = fresh.started_at, seen_at = fresh.seen_at, detail = fresh.detail;

-- name: read_processes
SELECT name, state, host, pid, restarts, started_at, seen_at, detail FROM {c}.processes WHERE topology = %s ORDER BY name;

-- name: insert_heartbeat
INSERT IGNORE INTO {c}.heartbeat (topology, side, barrier, at) VALUES (%s, %s, 0, %s);

-- name: has_heartbeat
SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = 'heartbeat';

-- name: write_heartbeat
-- Of a side that there is not: read back by the precheck, and passed over by producers.
INSERT INTO {c}.heartbeat (topology, side, barrier, at) VALUES (%s, %s, 0, %s) AS fresh ON DUPLICATE KEY UPDATE at = fresh.at;

-- name: raise_barrier
UPDATE {c}.heartbeat SET barrier = barrier + 1, at = %s WHERE topology = %s AND side = %s;

-- name: read_barrier
SELECT barrier FROM {c}.heartbeat WHERE topology = %s AND side = %s;

-- name: read_clock
SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6));

-- name: read_applied
SELECT source_side, stream, sequence, gtid, committed_at, applied_at, barrier, applied_transactions, applied_rows,
 dropped_own_origin, dropped_repeated, conflicts FROM {c}.applied WHERE topology = %s;

-- name: insert_applied
INSERT INTO {c}.applied (topology, source_side, stream, applied_at, first_sequence, sequence, transactions, gtid, committed_at,
 barrier, applied_transactions, applied_rows, dropped_own_origin, dropped_repeated, conflicts, already_applied)
 VALUES (%s, %s, %s, %s, 0, 0, 0, '', 0, 0, 0, 0, 0, 0, 0, 0);

-- name: move_applied
-- Compare and set: no matched row means that another process has moved it, and nothing may be written.
UPDATE {c}.applied SET first_sequence = %s, sequence = %s, transactions = %s, gtid = %s, committed_at = %s, applied_at = %s,
 barrier = GREATEST(barrier, %s), seen = %s, applied_transactions = applied_transactions + %s, applied_rows = applied_rows + %s,
 dropped_own_origin = dropped_own_origin + %s, dropped_repeated = dropped_repeated + %s
 WHERE topology = %s AND source_side = %s AND stream = %s AND sequence = %s;

-- name: touch_applied
-- The marker of rows that are written by hand, as it were: it moves nothing, and is logged all the same.
UPDATE {c}.applied SET first_sequence = sequence + 1, transactions = 0, applied_at = GREATEST(applied_at + 1, %s), seen = 0
 WHERE topology = %s AND source_side = %s AND stream = %s AND sequence = %s;

-- name: mark_repair
-- The origin marker of a repair's transaction: the row changes, and its progress stays.
UPDATE {c}.applied SET first_sequence = sequence + 1, transactions = 0, applied_at = %s WHERE topology = %s AND source_side = %s;

-- name: add_conflicts
UPDATE {c}.applied SET conflicts = conflicts + %s, already_applied = already_applied + %s WHERE topology = %s AND source_side = %s;

-- name: read_offsets
SELECT topic, kafka_partition, next_offset FROM {c}.applied_offsets WHERE topology = %s AND source_side = %s;

-- name: write_offset
INSERT INTO {c}.applied_offsets VALUES (%s, %s, %s, %s, %s) AS fresh ON DUPLICATE KEY UPDATE next_offset = fresh.next_offset;

-- name: insert_conflict
INSERT INTO {c}.conflicts (at, type, policy, decision, local_rows, topology, source_side, target_side, table_name, row_key,
 before_image, incoming_image, stream, sequence, event_order, gtid, committed_at, list_offset)
 VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s);

-- name: update_conflict
-- A change that fits by now has no type: the record keeps that of the conflict that it was.
UPDATE {c}.conflicts SET at = %s, type = COALESCE(%s, type), policy = %s, decision = %s, local_rows = %s
 WHERE topology = %s AND id = %s;

-- name: pending_conflicts
SELECT id, sequence, event_order, resolution FROM {c}.conflicts WHERE topology = %s AND source_side = %s AND stream = %s
 AND decision = 'pending';

-- name: close_pending
UPDATE {c}.conflicts SET at = %s, decision = %s WHERE topology = %s AND source_side = %s AND stream = %s AND sequence = %s
 AND decision = 'pending';

-- name: close_one
UPDATE {c}.conflicts SET at = %s, decision = %s WHERE topology = %s AND id = %s AND decision = 'pending';

-- name: resolve_conflicts
-- Filters as in list_conflicts; id 0: any.
UPDATE {c}.conflicts SET resolution = %s WHERE topology = %s AND source_side = %s AND stream = %s AND decision = 'pending'
 AND (%s = 0 OR id = %s) AND (%s IS NULL OR table_name COLLATE utf8mb4_bin LIKE %s) AND (%s = '' OR FIND_IN_SET(type, %s));

-- name: leave_pending
-- Of a direction that is begun anew: they will never be applied.
UPDATE {c}.conflicts SET at = %s, decision = 'skipped' WHERE topology = %s AND source_side = %s AND decision = 'pending';

-- name: delete_conflicts
-- Settled ones that are older than they are kept, the oldest first.
DELETE FROM {c}.conflicts WHERE topology = %s AND source_side = %s AND at < %s AND decision <> 'pending'
 ORDER BY at LIMIT %s;

-- name: list_conflicts
-- Newest first; an absent filter is NULL or empty. Read in the key's order: rows of many MB are not to be sorted (1038).
SELECT id, at, source_side, table_name, row_key, type, policy, decision, before_image, incoming_image, local_rows, gtid,
 list_offset, committed_at, resolution FROM {c}.conflicts FORCE INDEX (PRIMARY) WHERE topology = %s AND (%s IS NULL OR source_side = %s)
 AND (%s IS NULL OR table_name LIKE %s) AND (%s = '' OR FIND_IN_SET(type, %s)) AND (%s = '' OR FIND_IN_SET(decision, %s))
 ORDER BY id DESC LIMIT %s;

-- name: read_conflict
SELECT id, at, source_side, table_name, row_key, type, policy, decision, before_image, incoming_image, local_rows, gtid,
 list_offset, committed_at, resolution FROM {c}.conflicts WHERE topology = %s AND id = %s;

-- name: write_ddl
INSERT INTO {c}.ddl_log (topology, source_side, stream, sequence, at, statement, state, why, gtid, tables, event, connection_id,
 log_place) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) AS fresh
 ON DUPLICATE KEY UPDATE at = fresh.at, state = fresh.state, why = fresh.why, decision = NULL, tables = fresh.tables,
 connection_id = fresh.connection_id, log_place = fresh.log_place;

-- name: end_ddl
UPDATE {c}.ddl_log SET state = %s, why = %s, decision = NULL WHERE topology = %s AND source_side = %s AND stream = %s
 AND sequence = %s;

-- name: open_ddls
-- Those that are held, and the one that was begun.
SELECT id, state, decision, tables, event, sequence, gtid, connection_id, log_place, why FROM {c}.ddl_log
 WHERE topology = %s AND source_side = %s AND stream = %s AND state IN ('held', 'running');

-- name: held_sequences
SELECT sequence FROM {c}.ddl_log WHERE topology = %s AND source_side = %s AND state = 'held' AND stream <> 'local';

-- name: leave_held
-- Of a direction that is begun anew: they will never be run.
UPDATE {c}.ddl_log SET state = 'skipped', why = CONCAT('its stream was begun anew; ', why), decision = NULL
 WHERE topology = %s AND source_side = %s AND state IN ('held', 'running') AND stream <> 'local';

-- name: list_ddl
-- Newest first; an absent filter is NULL or empty.
SELECT id, at, source_side, statement, state, why, connection_id FROM {c}.ddl_log FORCE INDEX (PRIMARY)
 WHERE topology = %s AND (%s IS NULL OR source_side = %s) AND (%s = '' OR FIND_IN_SET(state, %s)) ORDER BY id DESC LIMIT %s;

-- name: read_ddl
SELECT id, at, source_side, statement, state, why, connection_id, gtid, stream, decision, tables, event FROM {c}.ddl_log
 WHERE topology = %s AND id = %s;

-- name: decide_ddl
-- Of one that is held: the applier may have been faster.
UPDATE {c}.ddl_log SET decision = %s, why = %s WHERE topology = %s AND id = %s AND state = 'held';

-- name: local_ddls
-- What a command has begun here by itself, and not ended.
SELECT source_side, sequence, event FROM {c}.ddl_log WHERE topology = %s AND stream = 'local' AND state = 'running' ORDER BY id;

-- name: take_up_ddl
-- Another session goes on with what a command has begun.
UPDATE {c}.ddl_log SET connection_id = %s WHERE topology = %s AND source_side = %s AND stream = 'local' AND sequence = %s;

-- name: initial_ddls
-- What initialization has begun here and not ended: one at a time.
SELECT sequence FROM {c}.ddl_log WHERE topology = %s AND source_side = %s AND stream = 'initial' AND state = 'running';

-- name: read_structure
-- What initialization has brought of a direction's structure.
SELECT schema_name, object_name, kind, structure, stream, barrier, definition FROM {c}.initialization
 WHERE topology = %s AND from_side = %s AND to_side = %s AND (structure <> '' OR kind = 'direction');

-- name: write_structure
INSERT INTO {c}.initialization (topology, from_side, to_side, schema_name, object_name, kind, structure, stream, barrier, definition)
 VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) AS fresh
 ON DUPLICATE KEY UPDATE structure = fresh.structure, stream = fresh.stream, barrier = fresh.barrier, definition = fresh.definition;

-- name: delete_structure
DELETE FROM {c}.initialization WHERE topology = %s AND from_side = %s AND to_side = %s AND schema_name = %s AND object_name = %s
 AND kind = %s;

-- name: end_structure
-- All is made, and was looked at.
UPDATE {c}.initialization SET definition = NULL, stream = %s, barrier = %s WHERE topology = %s AND from_side = %s AND to_side = %s
 AND kind <> 'direction' AND definition IS NOT NULL;

-- name: read_charsets
SELECT ID, COLLATION_NAME, CHARACTER_SET_NAME, IS_DEFAULT FROM information_schema.COLLATIONS;

-- name: read_collations
SELECT ID, COLLATION_NAME FROM information_schema.COLLATIONS;

-- name: hold_place
-- Nothing may be begun where another applier has moved the progress: no row, then.
SELECT sequence FROM {c}.applied WHERE topology = %s AND source_side = %s AND stream = %s AND sequence = %s FOR UPDATE;

-- name: add_rows
-- Of a transaction in pieces, whose size is known at its end only.
UPDATE {c}.applied SET applied_rows = applied_rows + %s WHERE topology = %s AND source_side = %s;

-- name: read_initialization
SELECT from_side, to_side, schema_name, object_name, state, rows_estimate, rows_done, chunks_done, frontier FROM {c}.initialization
 WHERE topology = %s AND kind = 'data';

-- name: add_initialization
INSERT IGNORE INTO {c}.initialization (topology, from_side, to_side, schema_name, object_name, kind, state, rows_estimate,
 rows_done, chunks_done) VALUES (%s, %s, %s, %s, %s, 'data', %s, %s, 0, 0);

-- name: move_initialization
UPDATE {c}.initialization SET state = %s, rows_done = rows_done + %s, chunks_done = chunks_done + 1, frontier = %s
 WHERE topology = %s AND from_side = %s AND to_side = %s AND schema_name = %s AND object_name = %s
 AND kind = 'data';

-- name: begin_initialization
UPDATE {c}.initialization SET state = 'waiting', rows_done = 0, chunks_done = 0, frontier = NULL
 WHERE topology = %s AND from_side = %s AND to_side = %s AND schema_name = %s AND object_name = %s
 AND kind = 'data';

-- name: leave_table
DELETE FROM {c}.initialization WHERE topology = %s AND from_side = %s AND to_side = %s AND schema_name = %s AND object_name = %s
 AND kind = 'data';

-- name: delete_initialization
DELETE FROM {c}.initialization WHERE topology = %s AND from_side = %s AND to_side = %s AND kind = 'data';

-- name: delete_applied
DELETE FROM {c}.applied WHERE topology = %s AND source_side = %s;

-- name: delete_offsets
DELETE FROM {c}.applied_offsets WHERE topology = %s AND source_side = %s;
