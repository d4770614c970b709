CREATE TABLE unique_without_primary (code VARCHAR(20) NOT NULL, area INT NOT NULL, v INT, UNIQUE KEY (area, code));
