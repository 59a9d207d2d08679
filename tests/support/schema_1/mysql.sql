-- The tables that the maps in postfix-maps/tabled.conf read, for MariaDB 10.5 and MySQL 8.0.17 and later.
--
--     mariadb --execute='CREATE DATABASE mail'
--     mariadb --default-character-set=utf8mb4 mail < schema/mysql.sql
--     mariadb --execute="GRANT SELECT ON mail.* TO tabled@localhost"
--     mariadb --execute="GRANT DELETE ON mail.tabled_change TO tabled@localhost"
--
-- Rules that hold for all tables:
--   * Postfix folds what it asks for, so keys are stored in lower case; a row in mixed case
--     would never be found, and a CHECK refuses it. Beyond ASCII, Unicode case folding counts:
--     store grüsse for grüße.
--   * An address has the form of a mail header: "john doe"@example.com with its quotes.
--   * active = 0 hides a row from Postfix without losing it.
--   * `localpart` and `domain` are made from their address, so they cannot disagree with it.
--   * A server without STRICT_TRANS_TABLES in its sql_mode cuts what is too long for a column. It is
--     strict by default; leave it so.

-- Texts compare character by character, blanks at the end included: to the collations that servers have
-- by default, jose@example.com is josé@example.com. New tables of this database take it over.
ALTER DATABASE CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- Domains whose mail ends here, in mailboxes or by aliases.
CREATE TABLE domain (
	domain VARCHAR(255) NOT NULL PRIMARY KEY CHECK (domain = lower(domain) AND domain <> ''),
	active TINYINT NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) ENGINE = InnoDB;

-- Accounts. The user name is the address.
CREATE TABLE mailbox (
	username  VARCHAR(255) NOT NULL PRIMARY KEY CHECK (username = lower(username) AND username LIKE '_%@%'),
	active    TINYINT NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
	localpart VARCHAR(255)
		GENERATED ALWAYS AS (left(username, char_length(username) - locate('@', reverse(username)))) STORED,
	domain    VARCHAR(255) GENERATED ALWAYS AS (substring_index(username, '@', -1)) STORED,
	FOREIGN KEY (domain) REFERENCES domain (domain),
	INDEX mailbox_parts (domain, localpart)
) ENGINE = InnoDB;

-- Where mail for an address goes instead. Address '@example.com' is the catch-all of its domain.
-- A list has one row for each member, or one row with the members separated by commas; one row can
-- hold 512 characters. The character more is for servers that are not strict: what they have cut is
-- seen by the CHECK.
CREATE TABLE alias (
	address   VARCHAR(255) NOT NULL CHECK (address = lower(address) AND address LIKE '%@%'),
	goto      VARCHAR(513) NOT NULL CHECK (goto <> '' AND char_length(goto) <= 512),
	active    TINYINT NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
	localpart VARCHAR(255)
		GENERATED ALWAYS AS (left(address, char_length(address) - locate('@', reverse(address)))) STORED,
	domain    VARCHAR(255) GENERATED ALWAYS AS (substring_index(address, '@', -1)) STORED,
	PRIMARY KEY (address, goto),
	FOREIGN KEY (domain) REFERENCES domain (domain),
	INDEX alias_parts (domain, localpart)
) ENGINE = InnoDB;

-- Second names of domains: user@alias_domain is user@target_domain. An alias domain has no row in
-- `domain`: Postfix wants a domain in one address class only.
CREATE TABLE alias_domain (
	alias_domain  VARCHAR(255) NOT NULL PRIMARY KEY CHECK (alias_domain = lower(alias_domain) AND alias_domain <> ''),
	target_domain VARCHAR(255) NOT NULL,
	active        TINYINT NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
	CHECK (alias_domain <> target_domain),
	FOREIGN KEY (target_domain) REFERENCES domain (domain)
) ENGINE = InnoDB;

-- Domains that this server relays for; their subdomains too, as Postfix does by default.
CREATE TABLE relay_domain (
	domain VARCHAR(255) NOT NULL PRIMARY KEY CHECK (domain = lower(domain) AND domain <> ''),
	active TINYINT NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) ENGINE = InnoDB;

-- How mail for a destination leaves: user@domain, domain, .domain (its subdomains) or * (all).
-- The transport is written as in transport(5): 'smtp:[relay.example.com]:587'.
CREATE TABLE transport (
	destination VARCHAR(255) NOT NULL PRIMARY KEY CHECK (destination = lower(destination) AND destination <> ''),
	transport   VARCHAR(512) NOT NULL CHECK (transport <> ''),
	active      TINYINT NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) ENGINE = InnoDB;

-- Blind copies by sender and by recipient: user@domain or @domain. One copy address for each.
CREATE TABLE sender_bcc (
	address VARCHAR(255) NOT NULL PRIMARY KEY CHECK (address = lower(address) AND address LIKE '%@%'),
	goto    VARCHAR(255) NOT NULL CHECK (goto LIKE '_%@_%'),
	active  TINYINT NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) ENGINE = InnoDB;

CREATE TABLE recipient_bcc (
	address VARCHAR(255) NOT NULL PRIMARY KEY CHECK (address = lower(address) AND address LIKE '%@%'),
	goto    VARCHAR(255) NOT NULL CHECK (goto LIKE '_%@_%'),
	active  TINYINT NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) ENGINE = InnoDB;

-- What clients may do. A client is a host name, a domain (its hosts too), an address or the front
-- part of one ('192.0.2'). Actions are those of access(5): 'REJECT', 'OK', '450 4.7.1 not now'.
CREATE TABLE client_access (
	client VARCHAR(255) NOT NULL PRIMARY KEY CHECK (client = lower(client) AND client <> ''),
	action VARCHAR(512) NOT NULL CHECK (action <> ''),
	active TINYINT NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) ENGINE = InnoDB;

-- What senders may do: user@domain, domain (its subdomains too), user@, or '<>' for bounces.
CREATE TABLE sender_access (
	sender VARCHAR(255) NOT NULL PRIMARY KEY CHECK (sender = lower(sender) AND sender <> ''),
	action VARCHAR(512) NOT NULL CHECK (action <> ''),
	active TINYINT NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) ENGINE = InnoDB;

-- Who may send as an address (user@domain or @domain) that is not the account's own.
CREATE TABLE sender_login (
	sender VARCHAR(255) NOT NULL CHECK (sender = lower(sender) AND sender LIKE '%@%'),
	login  VARCHAR(255) NOT NULL,
	active TINYINT NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
	PRIMARY KEY (sender, login),
	FOREIGN KEY (login) REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE
) ENGINE = InnoDB;

-- The change feed: by it tabled knows at once what has changed, and asks again for exactly that. For
-- other tables `tabledctl feed install` makes such triggers, by what the queries of the maps read. These
-- are what it makes for the tables above.
--
-- Each row that is inserted, updated or deleted writes a row for each of its key columns, with the value
-- that it had and the one that it has. No value says that anything in the table may be different.
--
-- Rows of tabled_change that are older than an hour are deleted by tabled, if it may. Whoever changes a table
-- needs no rights on tabled_change: triggers have those of the user who has made them. TRUNCATE fires no
-- trigger: use DELETE. A foreign key that cascades fires none, so the parent's triggers tell of the child.

CREATE TABLE IF NOT EXISTS tabled_change (
	id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
	changed_table VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	key_column    VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	key_value     VARBINARY(10000),
	changed_at    TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS tabled_feed (
	changed_table VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	key_column    VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	PRIMARY KEY (changed_table, key_column)
) ENGINE = InnoDB;

CREATE FUNCTION tabled_triggers(name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin)
	RETURNS INTEGER READS SQL DATA SQL SECURITY DEFINER
	RETURN (SELECT count(*) FROM information_schema.triggers
		WHERE trigger_schema = DATABASE()
		AND trigger_name IN (concat('tabled_insert_', name), concat('tabled_update_', name),
			concat('tabled_delete_', name))
		AND event_object_table = substring_index(name, '.', -1)
		AND (name NOT LIKE '%.%' OR name = concat(trigger_schema, '.', event_object_table)));

CREATE OR REPLACE SQL SECURITY DEFINER VIEW tabled_feed_live AS
	SELECT changed_table, key_column FROM tabled_feed WHERE tabled_triggers(changed_table) = 3;

INSERT INTO tabled_feed (changed_table, key_column) VALUES
	('alias', 'address'),
	('alias', 'localpart'),
	('alias_domain', 'alias_domain'),
	('client_access', 'client'),
	('domain', 'domain'),
	('mailbox', 'localpart'),
	('mailbox', 'username'),
	('recipient_bcc', 'address'),
	('relay_domain', 'domain'),
	('sender_access', 'sender'),
	('sender_bcc', 'address'),
	('sender_login', 'sender'),
	('transport', 'destination');

DELIMITER //
CREATE TRIGGER `tabled_insert_alias` AFTER INSERT ON `alias` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('alias', 'address', IF(length(CONVERT(NEW.`address` USING utf8mb4)) <= 10000, CONVERT(NEW.`address` USING utf8mb4), NULL)),
		('alias', 'localpart', IF(length(CONVERT(NEW.`localpart` USING utf8mb4)) <= 10000, CONVERT(NEW.`localpart` USING utf8mb4), NULL));
END//

CREATE TRIGGER `tabled_update_alias` AFTER UPDATE ON `alias` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('alias', 'address', IF(length(CONVERT(NEW.`address` USING utf8mb4)) <= 10000, CONVERT(NEW.`address` USING utf8mb4), NULL)),
		('alias', 'localpart', IF(length(CONVERT(NEW.`localpart` USING utf8mb4)) <= 10000, CONVERT(NEW.`localpart` USING utf8mb4), NULL));
	IF NOT CAST(OLD.`address` AS BINARY) <=> CAST(NEW.`address` AS BINARY) THEN
		INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
			('alias', 'address', IF(length(CONVERT(OLD.`address` USING utf8mb4)) <= 10000, CONVERT(OLD.`address` USING utf8mb4), NULL));
	END IF;
	IF NOT CAST(OLD.`localpart` AS BINARY) <=> CAST(NEW.`localpart` AS BINARY) THEN
		INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
			('alias', 'localpart', IF(length(CONVERT(OLD.`localpart` USING utf8mb4)) <= 10000, CONVERT(OLD.`localpart` USING utf8mb4), NULL));
	END IF;
END//

CREATE TRIGGER `tabled_delete_alias` AFTER DELETE ON `alias` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('alias', 'address', IF(length(CONVERT(OLD.`address` USING utf8mb4)) <= 10000, CONVERT(OLD.`address` USING utf8mb4), NULL)),
		('alias', 'localpart', IF(length(CONVERT(OLD.`localpart` USING utf8mb4)) <= 10000, CONVERT(OLD.`localpart` USING utf8mb4), NULL));
END//

CREATE TRIGGER `tabled_insert_alias_domain` AFTER INSERT ON `alias_domain` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('alias_domain', 'alias_domain', IF(length(CONVERT(NEW.`alias_domain` USING utf8mb4)) <= 10000, CONVERT(NEW.`alias_domain` USING utf8mb4), NULL));
END//

CREATE TRIGGER `tabled_update_alias_domain` AFTER UPDATE ON `alias_domain` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('alias_domain', 'alias_domain', IF(length(CONVERT(NEW.`alias_domain` USING utf8mb4)) <= 10000, CONVERT(NEW.`alias_domain` USING utf8mb4), NULL));
	IF NOT CAST(OLD.`alias_domain` AS BINARY) <=> CAST(NEW.`alias_domain` AS BINARY) THEN
		INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
			('alias_domain', 'alias_domain', IF(length(CONVERT(OLD.`alias_domain` USING utf8mb4)) <= 10000, CONVERT(OLD.`alias_domain` USING utf8mb4), NULL));
	END IF;
END//

CREATE TRIGGER `tabled_delete_alias_domain` AFTER DELETE ON `alias_domain` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('alias_domain', 'alias_domain', IF(length(CONVERT(OLD.`alias_domain` USING utf8mb4)) <= 10000, CONVERT(OLD.`alias_domain` USING utf8mb4), NULL));
END//

CREATE TRIGGER `tabled_insert_client_access` AFTER INSERT ON `client_access` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('client_access', 'client', IF(length(CONVERT(NEW.`client` USING utf8mb4)) <= 10000, CONVERT(NEW.`client` USING utf8mb4), NULL));
END//

CREATE TRIGGER `tabled_update_client_access` AFTER UPDATE ON `client_access` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('client_access', 'client', IF(length(CONVERT(NEW.`client` USING utf8mb4)) <= 10000, CONVERT(NEW.`client` USING utf8mb4), NULL));
	IF NOT CAST(OLD.`client` AS BINARY) <=> CAST(NEW.`client` AS BINARY) THEN
		INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
			('client_access', 'client', IF(length(CONVERT(OLD.`client` USING utf8mb4)) <= 10000, CONVERT(OLD.`client` USING utf8mb4), NULL));
	END IF;
END//

CREATE TRIGGER `tabled_delete_client_access` AFTER DELETE ON `client_access` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('client_access', 'client', IF(length(CONVERT(OLD.`client` USING utf8mb4)) <= 10000, CONVERT(OLD.`client` USING utf8mb4), NULL));
END//

CREATE TRIGGER `tabled_insert_domain` AFTER INSERT ON `domain` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('domain', 'domain', IF(length(CONVERT(NEW.`domain` USING utf8mb4)) <= 10000, CONVERT(NEW.`domain` USING utf8mb4), NULL));
END//

CREATE TRIGGER `tabled_update_domain` AFTER UPDATE ON `domain` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('domain', 'domain', IF(length(CONVERT(NEW.`domain` USING utf8mb4)) <= 10000, CONVERT(NEW.`domain` USING utf8mb4), NULL));
	IF NOT CAST(OLD.`domain` AS BINARY) <=> CAST(NEW.`domain` AS BINARY) THEN
		INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
			('domain', 'domain', IF(length(CONVERT(OLD.`domain` USING utf8mb4)) <= 10000, CONVERT(OLD.`domain` USING utf8mb4), NULL));
	END IF;
END//

CREATE TRIGGER `tabled_delete_domain` AFTER DELETE ON `domain` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('domain', 'domain', IF(length(CONVERT(OLD.`domain` USING utf8mb4)) <= 10000, CONVERT(OLD.`domain` USING utf8mb4), NULL));
END//

CREATE TRIGGER `tabled_insert_mailbox` AFTER INSERT ON `mailbox` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('mailbox', 'localpart', IF(length(CONVERT(NEW.`localpart` USING utf8mb4)) <= 10000, CONVERT(NEW.`localpart` USING utf8mb4), NULL)),
		('mailbox', 'username', IF(length(CONVERT(NEW.`username` USING utf8mb4)) <= 10000, CONVERT(NEW.`username` USING utf8mb4), NULL));
END//

CREATE TRIGGER `tabled_update_mailbox` AFTER UPDATE ON `mailbox` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('mailbox', 'localpart', IF(length(CONVERT(NEW.`localpart` USING utf8mb4)) <= 10000, CONVERT(NEW.`localpart` USING utf8mb4), NULL)),
		('mailbox', 'username', IF(length(CONVERT(NEW.`username` USING utf8mb4)) <= 10000, CONVERT(NEW.`username` USING utf8mb4), NULL));
	IF NOT CAST(OLD.`localpart` AS BINARY) <=> CAST(NEW.`localpart` AS BINARY) THEN
		INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
			('mailbox', 'localpart', IF(length(CONVERT(OLD.`localpart` USING utf8mb4)) <= 10000, CONVERT(OLD.`localpart` USING utf8mb4), NULL));
	END IF;
	IF NOT CAST(OLD.`username` AS BINARY) <=> CAST(NEW.`username` AS BINARY) THEN
		INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
			('mailbox', 'username', IF(length(CONVERT(OLD.`username` USING utf8mb4)) <= 10000, CONVERT(OLD.`username` USING utf8mb4), NULL));
	END IF;
	IF NOT CAST(OLD.`username` AS BINARY) <=> CAST(NEW.`username` AS BINARY) THEN
		INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES ('sender_login', 'sender', NULL);
	END IF;
END//

CREATE TRIGGER `tabled_delete_mailbox` AFTER DELETE ON `mailbox` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('mailbox', 'localpart', IF(length(CONVERT(OLD.`localpart` USING utf8mb4)) <= 10000, CONVERT(OLD.`localpart` USING utf8mb4), NULL)),
		('mailbox', 'username', IF(length(CONVERT(OLD.`username` USING utf8mb4)) <= 10000, CONVERT(OLD.`username` USING utf8mb4), NULL));
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES ('sender_login', 'sender', NULL);
END//

CREATE TRIGGER `tabled_insert_recipient_bcc` AFTER INSERT ON `recipient_bcc` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('recipient_bcc', 'address', IF(length(CONVERT(NEW.`address` USING utf8mb4)) <= 10000, CONVERT(NEW.`address` USING utf8mb4), NULL));
END//

CREATE TRIGGER `tabled_update_recipient_bcc` AFTER UPDATE ON `recipient_bcc` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('recipient_bcc', 'address', IF(length(CONVERT(NEW.`address` USING utf8mb4)) <= 10000, CONVERT(NEW.`address` USING utf8mb4), NULL));
	IF NOT CAST(OLD.`address` AS BINARY) <=> CAST(NEW.`address` AS BINARY) THEN
		INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
			('recipient_bcc', 'address', IF(length(CONVERT(OLD.`address` USING utf8mb4)) <= 10000, CONVERT(OLD.`address` USING utf8mb4), NULL));
	END IF;
END//

CREATE TRIGGER `tabled_delete_recipient_bcc` AFTER DELETE ON `recipient_bcc` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('recipient_bcc', 'address', IF(length(CONVERT(OLD.`address` USING utf8mb4)) <= 10000, CONVERT(OLD.`address` USING utf8mb4), NULL));
END//

CREATE TRIGGER `tabled_insert_relay_domain` AFTER INSERT ON `relay_domain` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('relay_domain', 'domain', IF(length(CONVERT(NEW.`domain` USING utf8mb4)) <= 10000, CONVERT(NEW.`domain` USING utf8mb4), NULL));
END//

CREATE TRIGGER `tabled_update_relay_domain` AFTER UPDATE ON `relay_domain` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('relay_domain', 'domain', IF(length(CONVERT(NEW.`domain` USING utf8mb4)) <= 10000, CONVERT(NEW.`domain` USING utf8mb4), NULL));
	IF NOT CAST(OLD.`domain` AS BINARY) <=> CAST(NEW.`domain` AS BINARY) THEN
		INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
			('relay_domain', 'domain', IF(length(CONVERT(OLD.`domain` USING utf8mb4)) <= 10000, CONVERT(OLD.`domain` USING utf8mb4), NULL));
	END IF;
END//

CREATE TRIGGER `tabled_delete_relay_domain` AFTER DELETE ON `relay_domain` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('relay_domain', 'domain', IF(length(CONVERT(OLD.`domain` USING utf8mb4)) <= 10000, CONVERT(OLD.`domain` USING utf8mb4), NULL));
END//

CREATE TRIGGER `tabled_insert_sender_access` AFTER INSERT ON `sender_access` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('sender_access', 'sender', IF(length(CONVERT(NEW.`sender` USING utf8mb4)) <= 10000, CONVERT(NEW.`sender` USING utf8mb4), NULL));
END//

CREATE TRIGGER `tabled_update_sender_access` AFTER UPDATE ON `sender_access` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('sender_access', 'sender', IF(length(CONVERT(NEW.`sender` USING utf8mb4)) <= 10000, CONVERT(NEW.`sender` USING utf8mb4), NULL));
	IF NOT CAST(OLD.`sender` AS BINARY) <=> CAST(NEW.`sender` AS BINARY) THEN
		INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
			('sender_access', 'sender', IF(length(CONVERT(OLD.`sender` USING utf8mb4)) <= 10000, CONVERT(OLD.`sender` USING utf8mb4), NULL));
	END IF;
END//

CREATE TRIGGER `tabled_delete_sender_access` AFTER DELETE ON `sender_access` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('sender_access', 'sender', IF(length(CONVERT(OLD.`sender` USING utf8mb4)) <= 10000, CONVERT(OLD.`sender` USING utf8mb4), NULL));
END//

CREATE TRIGGER `tabled_insert_sender_bcc` AFTER INSERT ON `sender_bcc` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('sender_bcc', 'address', IF(length(CONVERT(NEW.`address` USING utf8mb4)) <= 10000, CONVERT(NEW.`address` USING utf8mb4), NULL));
END//

CREATE TRIGGER `tabled_update_sender_bcc` AFTER UPDATE ON `sender_bcc` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('sender_bcc', 'address', IF(length(CONVERT(NEW.`address` USING utf8mb4)) <= 10000, CONVERT(NEW.`address` USING utf8mb4), NULL));
	IF NOT CAST(OLD.`address` AS BINARY) <=> CAST(NEW.`address` AS BINARY) THEN
		INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
			('sender_bcc', 'address', IF(length(CONVERT(OLD.`address` USING utf8mb4)) <= 10000, CONVERT(OLD.`address` USING utf8mb4), NULL));
	END IF;
END//

CREATE TRIGGER `tabled_delete_sender_bcc` AFTER DELETE ON `sender_bcc` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('sender_bcc', 'address', IF(length(CONVERT(OLD.`address` USING utf8mb4)) <= 10000, CONVERT(OLD.`address` USING utf8mb4), NULL));
END//

CREATE TRIGGER `tabled_insert_sender_login` AFTER INSERT ON `sender_login` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('sender_login', 'sender', IF(length(CONVERT(NEW.`sender` USING utf8mb4)) <= 10000, CONVERT(NEW.`sender` USING utf8mb4), NULL));
END//

CREATE TRIGGER `tabled_update_sender_login` AFTER UPDATE ON `sender_login` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('sender_login', 'sender', IF(length(CONVERT(NEW.`sender` USING utf8mb4)) <= 10000, CONVERT(NEW.`sender` USING utf8mb4), NULL));
	IF NOT CAST(OLD.`sender` AS BINARY) <=> CAST(NEW.`sender` AS BINARY) THEN
		INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
			('sender_login', 'sender', IF(length(CONVERT(OLD.`sender` USING utf8mb4)) <= 10000, CONVERT(OLD.`sender` USING utf8mb4), NULL));
	END IF;
END//

CREATE TRIGGER `tabled_delete_sender_login` AFTER DELETE ON `sender_login` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('sender_login', 'sender', IF(length(CONVERT(OLD.`sender` USING utf8mb4)) <= 10000, CONVERT(OLD.`sender` USING utf8mb4), NULL));
END//

CREATE TRIGGER `tabled_insert_transport` AFTER INSERT ON `transport` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('transport', 'destination', IF(length(CONVERT(NEW.`destination` USING utf8mb4)) <= 10000, CONVERT(NEW.`destination` USING utf8mb4), NULL));
END//

CREATE TRIGGER `tabled_update_transport` AFTER UPDATE ON `transport` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('transport', 'destination', IF(length(CONVERT(NEW.`destination` USING utf8mb4)) <= 10000, CONVERT(NEW.`destination` USING utf8mb4), NULL));
	IF NOT CAST(OLD.`destination` AS BINARY) <=> CAST(NEW.`destination` AS BINARY) THEN
		INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
			('transport', 'destination', IF(length(CONVERT(OLD.`destination` USING utf8mb4)) <= 10000, CONVERT(OLD.`destination` USING utf8mb4), NULL));
	END IF;
END//

CREATE TRIGGER `tabled_delete_transport` AFTER DELETE ON `transport` FOR EACH ROW
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value) VALUES
		('transport', 'destination', IF(length(CONVERT(OLD.`destination` USING utf8mb4)) <= 10000, CONVERT(OLD.`destination` USING utf8mb4), NULL));
END//
DELIMITER ;

INSERT INTO tabled_change (changed_table, key_column)
	SELECT changed_table, min(key_column) FROM tabled_feed GROUP BY changed_table;
