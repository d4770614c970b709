/* a comment; with ALTER TABLE ticking DROP n */ ALTER /* here */ TABLE -- and here
 item # and here
 ADD w INT;
alter table `ddl_names` . `item` add x int default 3;
Create Table `select` (`from` INT PRIMARY KEY, `where` INT, `a``b` INT, `ключ` INT DEFAULT 4, `key` INT);
INSERT INTO `select` (`from`) VALUES (1);
ALTER TABLE `select` RENAME COLUMN `a``b` TO `order`, DROP COLUMN `key`;
CREATE TABLE `größe $1` (id INT PRIMARY KEY);
INSERT INTO `größe $1` VALUES (1);
USE information_schema;
ALTER TABLE ddl_names.item ADD y INT DEFAULT 6;
USE ddl_names;
/*!50003 ALTER TABLE item ADD z INT DEFAULT 7 */;
ALTER TABLE item /*!80000 ADD zz INT DEFAULT 8 */ /*!99999 , DROP COLUMN v */;
CREATE TABLE /*!32312 IF NOT EXISTS*/ dumped (id INT PRIMARY KEY) /*!40101 ENGINE=InnoDB */;
INSERT INTO dumped VALUES (1);
ALTER TABLE item ADD `a;b` INT DEFAULT 9, COMMENT "it's -- no /* comment";
INSERT INTO item (id) VALUES (2);
CREATE TABLE Mixed_Case (ID INT PRIMARY KEY, camelCase INT);
INSERT INTO Mixed_Case VALUES (1, 1);
ALTER TABLE Mixed_Case RENAME COLUMN camelcase TO CamelCase;
UPDATE Mixed_Case SET camelCase = 2;
