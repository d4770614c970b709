-- A shop that lends films, of our own making: every kind of object, and what is odd about each. Run in an empty database as a user
-- who may set any sql_mode; it has no rows. What follows SET NAMES is to be sent in that character set (sakila_like.py).
SET NAMES utf8mb4;
SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', foreign_key_checks = 0;

-- tables: plain ones, and foreign keys to another one, to itself and in a circle (store and staff)
CREATE TABLE country (
  country_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT,
  country VARCHAR(50) NOT NULL,
  iso CHAR(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  last_update TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (country_id),
  UNIQUE KEY (iso)
) COMMENT = 'ISO 3166-1; it''s "alpha-2" \\ only';

CREATE TABLE city (
  city_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  city VARCHAR(50) NOT NULL COLLATE utf8mb4_de_pb_0900_ai_ci COMMENT 'Köln ≠ Koeln',
  country_id SMALLINT UNSIGNED NOT NULL,
  place POINT NOT NULL /*!80003 SRID 4326 */,
  twin_id SMALLINT UNSIGNED NULL,
  SPATIAL KEY (place),
  CONSTRAINT fk_city_country FOREIGN KEY (country_id) REFERENCES country (country_id) ON DELETE RESTRICT ON UPDATE CASCADE,
  CONSTRAINT fk_city_twin FOREIGN KEY (twin_id) REFERENCES city (city_id) ON DELETE SET NULL
) AUTO_INCREMENT = 1000;

CREATE TABLE address (
  address_id INT NOT NULL AUTO_INCREMENT,
  address VARCHAR(90) NOT NULL,
  district VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_german2_ci NOT NULL DEFAULT 'Südstadt',
  postal_code VARBINARY(10) DEFAULT 0x00FF,
  city_id SMALLINT UNSIGNED NOT NULL,
  phone VARCHAR(20) INVISIBLE DEFAULT NULL,
  PRIMARY KEY (address_id),
  KEY by_text (address(10), district(5) DESC),
  CONSTRAINT fk_address_city FOREIGN KEY (city_id) REFERENCES city (city_id)
);

CREATE TABLE store (
  store_id TINYINT UNSIGNED NOT NULL PRIMARY KEY,
  manager_id INT NOT NULL,
  address_id INT NOT NULL,
  UNIQUE KEY (manager_id),
  CONSTRAINT fk_store_staff FOREIGN KEY (manager_id) REFERENCES staff (staff_id),
  CONSTRAINT fk_store_address FOREIGN KEY (address_id) REFERENCES address (address_id)
);

CREATE TABLE staff (
  staff_id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(60) NOT NULL,
  boss_id INT NULL,
  store_id TINYINT UNSIGNED NOT NULL,
  picture LONGBLOB,
  active BIT(1) NOT NULL DEFAULT b'1',
  KEY (name) INVISIBLE,
  CONSTRAINT fk_staff_boss FOREIGN KEY (boss_id) REFERENCES staff (staff_id),
  CONSTRAINT fk_staff_store FOREIGN KEY (store_id) REFERENCES store (store_id)
);

CREATE TABLE language (
  language_id TINYINT NOT NULL PRIMARY KEY,
  name CHAR(20) CHARACTER SET gbk NOT NULL,
  native VARCHAR(20) CHARACTER SET sjis,
  code CHAR(4) CHARACTER SET utf16
) DEFAULT CHARSET = latin1;

-- generated columns, JSON, ENUM and SET, CHECK, full text, keys over expressions
CREATE TABLE film (
  film_id INT NOT NULL AUTO_INCREMENT,
  title VARCHAR(128) NOT NULL,
  description TEXT,
  release_year YEAR DEFAULT NULL,
  language_id TINYINT NOT NULL,
  rental_rate DECIMAL(4,2) NOT NULL DEFAULT '4.99',
  rating ENUM('G','PG','PG-13','it''s "X"','ü,ö') DEFAULT 'G',
  special SET('Trailers','Commentaries','Deleted Scenes') NOT NULL DEFAULT 'Trailers,Deleted Scenes',
  about JSON DEFAULT (JSON_OBJECT('tags', JSON_ARRAY())),
  title_length INT GENERATED ALWAYS AS (CHAR_LENGTH(title)) VIRTUAL,
  shout VARCHAR(130) GENERATED ALWAYS AS (CONCAT(UPPER(title), '!', 'é')) STORED NOT NULL,
  added DATETIME(3) NOT NULL DEFAULT (NOW(3) + INTERVAL 1 DAY),
  PRIMARY KEY (film_id),
  KEY by_length (title_length, title(20)),
  KEY by_lower ((LOWER(title)), (rental_rate * 100) DESC),
  KEY by_tags ((CAST(about->'$.tags' AS CHAR(20) ARRAY))),
  FULLTEXT KEY words (title, description) WITH PARSER ngram,
  CONSTRAINT paid CHECK (rental_rate >= 0 AND title <> ''),
  CONSTRAINT unsure CHECK (release_year > 1900 OR release_year IS NULL) NOT ENFORCED,
  CONSTRAINT fk_film_language FOREIGN KEY (language_id) REFERENCES language (language_id)
) STATS_PERSISTENT = 1 ROW_FORMAT = COMPRESSED KEY_BLOCK_SIZE = 8;

CREATE TABLE actor (
  actor_id BINARY(16) NOT NULL DEFAULT (UUID_TO_BIN(UUID())) PRIMARY KEY,
  first_name VARCHAR(45) NOT NULL,
  last_name VARCHAR(45) NOT NULL COLLATE utf8mb4_0900_as_cs,
  born DATE DEFAULT '1900-01-01',
  KEY (last_name, first_name)
);

CREATE TABLE film_actor (
  actor_id BINARY(16) NOT NULL,
  film_id INT NOT NULL,
  role VARCHAR(60) NOT NULL DEFAULT '',
  PRIMARY KEY (role, film_id, actor_id),
  KEY (film_id),
  CONSTRAINT fk_fa_actor FOREIGN KEY (actor_id) REFERENCES actor (actor_id) ON UPDATE CASCADE ON DELETE CASCADE,
  CONSTRAINT fk_fa_film FOREIGN KEY (film_id) REFERENCES film (film_id) ON UPDATE CASCADE
);

CREATE TABLE inventory (
  inventory_id BIGINT UNSIGNED NOT NULL,
  film_id INT NOT NULL,
  store_id TINYINT UNSIGNED NOT NULL,
  seq INT NOT NULL,
  UNIQUE KEY (store_id, film_id, seq),
  UNIQUE KEY (inventory_id),
  CONSTRAINT fk_inventory_film FOREIGN KEY (film_id) REFERENCES film (film_id),
  CONSTRAINT fk_inventory_store FOREIGN KEY (store_id) REFERENCES store (store_id)
);

CREATE TABLE customer (
  customer_id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  store_id TINYINT UNSIGNED NOT NULL,
  email VARCHAR(200) CHARACTER SET utf8mb3 COLLATE utf8mb3_unicode_ci DEFAULT NULL,
  since TIMESTAMP(6) NULL DEFAULT '2001-02-03 04:05:06',
  credit FLOAT NOT NULL DEFAULT '0',
  score DOUBLE DEFAULT -1e-10,
  number INT(8) UNSIGNED ZEROFILL DEFAULT NULL,
  UNIQUE KEY (email(50)),
  CONSTRAINT fk_customer_store FOREIGN KEY (store_id) REFERENCES store (store_id)
);

CREATE TABLE rental (
  rental_id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  inventory_id BIGINT UNSIGNED NOT NULL,
  customer_id INT NOT NULL,
  rented DATETIME(6) NOT NULL,
  returned TIME(2) DEFAULT NULL,
  CONSTRAINT fk_rental_inventory FOREIGN KEY (inventory_id) REFERENCES inventory (inventory_id),
  CONSTRAINT fk_rental_customer FOREIGN KEY (customer_id) REFERENCES customer (customer_id)
);

CREATE TABLE payment (
  payment_id BIGINT NOT NULL,
  paid DATE NOT NULL,
  region VARCHAR(10) NOT NULL,
  amount DECIMAL(9,2) NOT NULL,
  PRIMARY KEY (payment_id, paid)
)
PARTITION BY RANGE (TO_DAYS(paid)) SUBPARTITION BY HASH (payment_id) SUBPARTITIONS 2 (
  PARTITION p2024 VALUES LESS THAN (TO_DAYS('2025-01-01')) COMMENT = 'old',
  PARTITION p2025 VALUES LESS THAN (TO_DAYS('2026-01-01')),
  PARTITION rest VALUES LESS THAN MAXVALUE
);

CREATE TABLE payment_region (
  region VARCHAR(10) NOT NULL PRIMARY KEY,
  total DECIMAL(12,2) NOT NULL DEFAULT 0
)
PARTITION BY LIST COLUMNS (region) (
  PARTITION north VALUES IN ('nørd', 'up'), PARTITION south VALUES IN ('süd')
);

-- a key that the server makes, of a table that has none
SET SESSION sql_generate_invisible_primary_key = ON;
CREATE TABLE note (text VARCHAR(100), at DATETIME DEFAULT CURRENT_TIMESTAMP);
SET SESSION sql_generate_invisible_primary_key = OFF;

-- names
CREATE TABLE `odd ``name``, "two" %s; DROP TABLE x.y` (
  `id` INT NOT NULL PRIMARY KEY,
  `sélect ``%d``` VARCHAR(10) DEFAULT 'a;b' COMMENT 'AUTO_INCREMENT=5 \'q\' \n two lines',
  `中文` INT UNIQUE,
  `from` INT CHECK (`from` > 0)
) COMMENT = 'CREATE TABLE `x` AUTO_INCREMENT=7';

-- dates that are none, from a time of another sql_mode
SET SESSION sql_mode = '';
CREATE TABLE old_style (
  id INT NOT NULL PRIMARY KEY,
  d DATE NOT NULL DEFAULT '0000-00-00',
  ts TIMESTAMP NOT NULL DEFAULT '0000-00-00 00:00:00'
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb3;
SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION';

CREATE TABLE audit (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  what VARCHAR(60) NOT NULL,
  film_id INT,
  old_title VARCHAR(128),
  new_title VARCHAR(128)
);

-- routines: one that uses a view, in the sql_mode and the character set of its maker, and functions that views use
CREATE FUNCTION price(rate DECIMAL(4,2), days INT) RETURNS DECIMAL(8,2) DETERMINISTIC
  COMMENT 'what a rental costs; ümlaut' RETURN rate * days;
CREATE FUNCTION stock(film INT) RETURNS INT READS SQL DATA SQL SECURITY INVOKER
BEGIN
  DECLARE n INT;
  SELECT COUNT(*) INTO n FROM film_in_store WHERE film_id = film;
  RETURN n; -- the number; not the films
END;
CREATE PROCEDURE rewards(IN least INT, OUT found INT, INOUT word VARCHAR(20) CHARACTER SET latin1)
  MODIFIES SQL DATA COMMENT 'it''s; a; comment'
BEGIN
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
  SELECT COUNT(*) INTO found FROM customer WHERE credit >= least;
  SET word = CONCAT(word, ';', 'DELIMITER $$');
END;
CREATE PROCEDURE price() SELECT 'a procedure of a function''s name';
SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT';
CREATE PROCEDURE "quoted ""name""" ("in" INT) SELECT "film_id" || '\' FROM "film" WHERE "film_id" > "in";
SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION';
SET NAMES latin1;
CREATE PROCEDURE latin() SELECT 'café', 'äöü' AS `née`;
CREATE VIEW latin_view AS SELECT film_id, 'äöü' AS `größe` FROM film;
SET NAMES utf8mb4;

-- views: on views that come after them by name, on functions, with CHECK OPTION, of both kinds of security
CREATE VIEW z_film AS SELECT film_id, title, language_id, rental_rate FROM film WHERE rating <> 'G';
CREATE ALGORITHM = MERGE SQL SECURITY INVOKER VIEW film_in_store AS
  SELECT i.store_id, z.film_id, z.title FROM inventory AS i JOIN z_film AS z ON z.film_id = i.film_id;
CREATE VIEW a_sold AS SELECT f.store_id, COUNT(*) AS n, SUM(price(z.rental_rate, 3)) AS total
  FROM film_in_store AS f JOIN z_film AS z USING (film_id) GROUP BY f.store_id;
CREATE VIEW m_stock AS SELECT film_id, stock(film_id) AS stock FROM film;
CREATE ALGORITHM = TEMPTABLE VIEW b_top AS
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i, a.* FROM n JOIN a_sold AS a;
CREATE VIEW rated (id, label) AS SELECT film_id, CONCAT(title, ' – ', 'x\'y\\z') FROM film WHERE film_id > 0 WITH CASCADED CHECK OPTION;
CREATE VIEW `odd view ``1``` AS SELECT `from` AS `sum of ``from```, '%s;' AS `;` FROM `odd ``name``, "two" %s; DROP TABLE x.y`;

-- triggers that write elsewhere; three of one table, time and event, of which the first was made last
CREATE TRIGGER film_audit AFTER UPDATE ON film FOR EACH ROW
BEGIN
  IF OLD.title <> NEW.title THEN
    INSERT INTO audit (what, film_id, old_title, new_title) VALUES ('retitled; ä', NEW.film_id, OLD.title, NEW.title);
  END IF;
END;
CREATE TRIGGER payment_total AFTER INSERT ON payment FOR EACH ROW
  INSERT INTO payment_region (region, total) VALUES (NEW.region, NEW.amount) ON DUPLICATE KEY UPDATE total = total + NEW.amount;
CREATE TRIGGER m_trim BEFORE INSERT ON customer FOR EACH ROW SET NEW.email = TRIM(NEW.email);
CREATE TRIGGER a_lower BEFORE INSERT ON customer FOR EACH ROW FOLLOWS m_trim SET NEW.email = LOWER(NEW.email);
CREATE TRIGGER z_first BEFORE INSERT ON customer FOR EACH ROW PRECEDES m_trim SET NEW.credit = IFNULL(NEW.credit, 0);
SET SESSION sql_mode = 'ANSI_QUOTES';
CREATE TRIGGER "odd ""trigger""" BEFORE DELETE ON "odd `name`, ""two"" %s; DROP TABLE x.y" FOR EACH ROW SET @"gone" = OLD."id";
SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION';

-- events: at an interval, once, and one that is disabled and whose time is past
CREATE EVENT purge_audit ON SCHEDULE EVERY 1 DAY STARTS '2040-01-01 03:00:00' ENDS '2050-01-01 00:00:00'
  ON COMPLETION PRESERVE COMMENT 'nightly; ö' DO DELETE FROM audit WHERE id < 0;
SET SESSION time_zone = '+05:30';
CREATE EVENT once ON SCHEDULE AT '2045-06-07 08:09:10' DO BEGIN SET @x = 'DO ENABLE'; DELETE FROM note WHERE text = ';'; END;
SET SESSION time_zone = '+00:00', timestamp = 1000000000;
CREATE EVENT past ON SCHEDULE AT '2001-09-09 12:00:00' DISABLE DO SET @y = 1;
SET SESSION timestamp = DEFAULT;
