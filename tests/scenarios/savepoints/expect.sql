SELECT GROUP_CONCAT(id, ':', v ORDER BY id) = '1:1,3:30' FROM savepoints;
