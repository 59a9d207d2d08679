-- The tables that the maps in postfix-maps/tabled.conf read, for MariaDB 10.5 and MySQL 8.0.17 and later.
--
--     mariadb --execute='CREATE DATABASE mail'
--     mariadb --default-character-set=utf8mb4 mail < schema/mysql.sql
--     mariadb --execute="GRANT SELECT ON mail.* TO tabled@localhost"
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
