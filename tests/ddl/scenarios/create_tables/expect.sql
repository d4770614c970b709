SELECT GROUP_CONCAT(id, ':', name ORDER BY id) = '1:changed,1000:of the other side' FROM plain;
SELECT COUNT(*) = 2 FROM fresh;
SELECT code = 'ü' FROM `unique only`;
