-- Run by the MySQL image on a server's first start, on each side. The image has created the account `bisync`, with the
-- password of the secret and without any privilege. Its privileges are exactly those that precheck asks for.

CREATE DATABASE shop;
CREATE TABLE shop.orders (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  customer VARCHAR(100) NOT NULL,
  total DECIMAL(10, 2) NOT NULL,
  placed_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
);

-- capture: the binary log and its position
GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO bisync@'%';
-- capture and apply: the rows that are carried
GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON shop.* TO bisync@'%';
-- the tool's own tables; CREATE lets its first start make them, the database included
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER ON bisync.* TO bisync@'%';
