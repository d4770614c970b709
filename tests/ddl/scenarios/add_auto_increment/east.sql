SET SESSION auto_increment_increment = 2, auto_increment_offset = 2;
ALTER TABLE item ADD id INT NOT NULL AUTO_INCREMENT PRIMARY KEY FIRST;
INSERT INTO item (name) VALUES ('d');
