-- The tables that the maps in postfix-maps/tabled.conf read, for SQLite 3.37 and later.
--
--     sqlite3 /var/lib/tabled/mail.db < schema/sqlite.sql
--
-- Rules that hold for all tables:
--   * Postfix folds what it asks for, so keys are stored in lower case; a row in mixed case
--     would never be found, and a CHECK refuses it. Beyond ASCII, Unicode case folding counts:
--     store grüsse for grüße.
--   * An address has the form of a mail header: "john doe"@example.com with its quotes.
--   * active = 0 hides a row from Postfix without losing it.
--   * `localpart` and `domain` are made from their address, so they cannot disagree with it.
-- SQLite enforces foreign keys only on connections that say PRAGMA foreign_keys = ON.

PRAGMA foreign_keys = ON;

BEGIN;

-- Domains whose mail ends here, in mailboxes or by aliases.
CREATE TABLE domain (
	domain TEXT NOT NULL PRIMARY KEY CHECK (domain = lower(domain) AND domain <> ''),
	active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) STRICT, WITHOUT ROWID;

-- Accounts. The user name is the address.
CREATE TABLE mailbox (
	username  TEXT NOT NULL PRIMARY KEY CHECK (username = lower(username) AND username LIKE '_%@%'),
	active    INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
	localpart TEXT NOT NULL
		GENERATED ALWAYS AS (substr(username, 1, length(rtrim(username, replace(username, '@', ''))) - 1)) STORED,
	domain    TEXT NOT NULL REFERENCES domain (domain)
		GENERATED ALWAYS AS (substr(username, length(rtrim(username, replace(username, '@', ''))) + 1)) STORED
) STRICT, WITHOUT ROWID;

CREATE INDEX mailbox_parts ON mailbox (domain, localpart);

-- Where mail for an address goes instead. Address '@example.com' is the catch-all of its domain.
-- A list has one row for each member, or one row with the members separated by commas.
CREATE TABLE alias (
	address   TEXT NOT NULL CHECK (address = lower(address) AND address LIKE '%@%'),
	goto      TEXT NOT NULL CHECK (goto <> ''),
	active    INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
	localpart TEXT NOT NULL
		GENERATED ALWAYS AS (substr(address, 1, length(rtrim(address, replace(address, '@', ''))) - 1)) STORED,
	domain    TEXT NOT NULL REFERENCES domain (domain)
		GENERATED ALWAYS AS (substr(address, length(rtrim(address, replace(address, '@', ''))) + 1)) STORED,
	PRIMARY KEY (address, goto)
) STRICT, WITHOUT ROWID;

CREATE INDEX alias_parts ON alias (domain, localpart);

-- Second names of domains: user@alias_domain is user@target_domain. An alias domain has no row in
-- `domain`: Postfix wants a domain in one address class only.
CREATE TABLE alias_domain (
	alias_domain  TEXT NOT NULL PRIMARY KEY CHECK (alias_domain = lower(alias_domain) AND alias_domain <> ''),
	target_domain TEXT NOT NULL REFERENCES domain (domain),
	active        INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
	CHECK (alias_domain <> target_domain)
) STRICT, WITHOUT ROWID;

CREATE INDEX alias_domain_target ON alias_domain (target_domain);

-- Domains that this server relays for; their subdomains too, as Postfix does by default.
CREATE TABLE relay_domain (
	domain TEXT NOT NULL PRIMARY KEY CHECK (domain = lower(domain) AND domain <> ''),
	active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) STRICT, WITHOUT ROWID;

-- How mail for a destination leaves: user@domain, domain, .domain (its subdomains) or * (all).
-- The transport is written as in transport(5): 'smtp:[relay.example.com]:587'.
CREATE TABLE transport (
	destination TEXT NOT NULL PRIMARY KEY CHECK (destination = lower(destination) AND destination <> ''),
	transport   TEXT NOT NULL CHECK (transport <> ''),
	active      INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) STRICT, WITHOUT ROWID;

-- Blind copies by sender and by recipient: user@domain or @domain. One copy address for each.
CREATE TABLE sender_bcc (
	address TEXT NOT NULL PRIMARY KEY CHECK (address = lower(address) AND address LIKE '%@%'),
	goto    TEXT NOT NULL CHECK (goto LIKE '_%@_%'),
	active  INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TABLE recipient_bcc (
	address TEXT NOT NULL PRIMARY KEY CHECK (address = lower(address) AND address LIKE '%@%'),
	goto    TEXT NOT NULL CHECK (goto LIKE '_%@_%'),
	active  INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) STRICT, WITHOUT ROWID;

-- What clients may do. A client is a host name, a domain (its hosts too), an address or the front
-- part of one ('192.0.2'). Actions are those of access(5): 'REJECT', 'OK', '450 4.7.1 not now'.
CREATE TABLE client_access (
	client TEXT NOT NULL PRIMARY KEY CHECK (client = lower(client) AND client <> ''),
	action TEXT NOT NULL CHECK (action <> ''),
	active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) STRICT, WITHOUT ROWID;

-- What senders may do: user@domain, domain (its subdomains too), user@, or '<>' for bounces.
CREATE TABLE sender_access (
	sender TEXT NOT NULL PRIMARY KEY CHECK (sender = lower(sender) AND sender <> ''),
	action TEXT NOT NULL CHECK (action <> ''),
	active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) STRICT, WITHOUT ROWID;

-- Who may send as an address (user@domain or @domain) that is not the account's own.
CREATE TABLE sender_login (
	sender TEXT NOT NULL CHECK (sender = lower(sender) AND sender LIKE '%@%'),
	login  TEXT NOT NULL REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE,
	active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
	PRIMARY KEY (sender, login)
) STRICT, WITHOUT ROWID;

CREATE INDEX sender_login_login ON sender_login (login);

-- The change feed: by it tabled knows at once what has changed, and asks again for exactly that. For
-- other tables `tabledctl feed install` makes such triggers, by what the queries of the maps read. These
-- are what it makes for the tables above.
--
-- Each row that is inserted, updated or deleted writes a row for each of its key columns, with the value
-- that it had and the one that it has. No value says that anything in the table may be different.
--
-- Of tabled_change the last 10,000 rows are kept. What INSERT OR REPLACE takes away of a row with another
-- key is not told of: use INSERT ... ON CONFLICT DO UPDATE.

CREATE TABLE IF NOT EXISTS tabled_change (
	id            INTEGER PRIMARY KEY AUTOINCREMENT,
	changed_table TEXT NOT NULL,
	key_column    TEXT NOT NULL,
	key_value     TEXT,
	changed_at    TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
) STRICT;

CREATE TABLE IF NOT EXISTS tabled_feed (
	changed_table TEXT NOT NULL,
	key_column    TEXT NOT NULL,
	PRIMARY KEY (changed_table, key_column)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS tabled_change_trim AFTER INSERT ON tabled_change WHEN NEW.id % 1000 = 0
BEGIN
	DELETE FROM tabled_change WHERE id <= NEW.id - 10000;
END;

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

CREATE TRIGGER "tabled_insert_alias" AFTER INSERT ON "alias"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'alias', 'address', CASE WHEN typeof(NEW."address") = 'text' AND length(CAST(NEW."address" AS BLOB)) <= 10000 THEN NEW."address" END
		UNION SELECT 'alias', 'localpart', CASE WHEN typeof(NEW."localpart") = 'text' AND length(CAST(NEW."localpart" AS BLOB)) <= 10000 THEN NEW."localpart" END;
END;

CREATE TRIGGER "tabled_update_alias" AFTER UPDATE ON "alias"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'alias', 'address', CASE WHEN typeof(NEW."address") = 'text' AND length(CAST(NEW."address" AS BLOB)) <= 10000 THEN NEW."address" END
		UNION SELECT 'alias', 'address', CASE WHEN typeof(OLD."address") = 'text' AND length(CAST(OLD."address" AS BLOB)) <= 10000 THEN OLD."address" END
		UNION SELECT 'alias', 'localpart', CASE WHEN typeof(NEW."localpart") = 'text' AND length(CAST(NEW."localpart" AS BLOB)) <= 10000 THEN NEW."localpart" END
		UNION SELECT 'alias', 'localpart', CASE WHEN typeof(OLD."localpart") = 'text' AND length(CAST(OLD."localpart" AS BLOB)) <= 10000 THEN OLD."localpart" END;
END;

CREATE TRIGGER "tabled_delete_alias" AFTER DELETE ON "alias"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'alias', 'address', CASE WHEN typeof(OLD."address") = 'text' AND length(CAST(OLD."address" AS BLOB)) <= 10000 THEN OLD."address" END
		UNION SELECT 'alias', 'localpart', CASE WHEN typeof(OLD."localpart") = 'text' AND length(CAST(OLD."localpart" AS BLOB)) <= 10000 THEN OLD."localpart" END;
END;

CREATE TRIGGER "tabled_insert_alias_domain" AFTER INSERT ON "alias_domain"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'alias_domain', 'alias_domain', CASE WHEN typeof(NEW."alias_domain") = 'text' AND length(CAST(NEW."alias_domain" AS BLOB)) <= 10000 THEN NEW."alias_domain" END;
END;

CREATE TRIGGER "tabled_update_alias_domain" AFTER UPDATE ON "alias_domain"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'alias_domain', 'alias_domain', CASE WHEN typeof(NEW."alias_domain") = 'text' AND length(CAST(NEW."alias_domain" AS BLOB)) <= 10000 THEN NEW."alias_domain" END
		UNION SELECT 'alias_domain', 'alias_domain', CASE WHEN typeof(OLD."alias_domain") = 'text' AND length(CAST(OLD."alias_domain" AS BLOB)) <= 10000 THEN OLD."alias_domain" END;
END;

CREATE TRIGGER "tabled_delete_alias_domain" AFTER DELETE ON "alias_domain"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'alias_domain', 'alias_domain', CASE WHEN typeof(OLD."alias_domain") = 'text' AND length(CAST(OLD."alias_domain" AS BLOB)) <= 10000 THEN OLD."alias_domain" END;
END;

CREATE TRIGGER "tabled_insert_client_access" AFTER INSERT ON "client_access"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'client_access', 'client', CASE WHEN typeof(NEW."client") = 'text' AND length(CAST(NEW."client" AS BLOB)) <= 10000 THEN NEW."client" END;
END;

CREATE TRIGGER "tabled_update_client_access" AFTER UPDATE ON "client_access"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'client_access', 'client', CASE WHEN typeof(NEW."client") = 'text' AND length(CAST(NEW."client" AS BLOB)) <= 10000 THEN NEW."client" END
		UNION SELECT 'client_access', 'client', CASE WHEN typeof(OLD."client") = 'text' AND length(CAST(OLD."client" AS BLOB)) <= 10000 THEN OLD."client" END;
END;

CREATE TRIGGER "tabled_delete_client_access" AFTER DELETE ON "client_access"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'client_access', 'client', CASE WHEN typeof(OLD."client") = 'text' AND length(CAST(OLD."client" AS BLOB)) <= 10000 THEN OLD."client" END;
END;

CREATE TRIGGER "tabled_insert_domain" AFTER INSERT ON "domain"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'domain', 'domain', CASE WHEN typeof(NEW."domain") = 'text' AND length(CAST(NEW."domain" AS BLOB)) <= 10000 THEN NEW."domain" END;
END;

CREATE TRIGGER "tabled_update_domain" AFTER UPDATE ON "domain"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'domain', 'domain', CASE WHEN typeof(NEW."domain") = 'text' AND length(CAST(NEW."domain" AS BLOB)) <= 10000 THEN NEW."domain" END
		UNION SELECT 'domain', 'domain', CASE WHEN typeof(OLD."domain") = 'text' AND length(CAST(OLD."domain" AS BLOB)) <= 10000 THEN OLD."domain" END;
END;

CREATE TRIGGER "tabled_delete_domain" AFTER DELETE ON "domain"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'domain', 'domain', CASE WHEN typeof(OLD."domain") = 'text' AND length(CAST(OLD."domain" AS BLOB)) <= 10000 THEN OLD."domain" END;
END;

CREATE TRIGGER "tabled_insert_mailbox" AFTER INSERT ON "mailbox"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'mailbox', 'localpart', CASE WHEN typeof(NEW."localpart") = 'text' AND length(CAST(NEW."localpart" AS BLOB)) <= 10000 THEN NEW."localpart" END
		UNION SELECT 'mailbox', 'username', CASE WHEN typeof(NEW."username") = 'text' AND length(CAST(NEW."username" AS BLOB)) <= 10000 THEN NEW."username" END;
END;

CREATE TRIGGER "tabled_update_mailbox" AFTER UPDATE ON "mailbox"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'mailbox', 'localpart', CASE WHEN typeof(NEW."localpart") = 'text' AND length(CAST(NEW."localpart" AS BLOB)) <= 10000 THEN NEW."localpart" END
		UNION SELECT 'mailbox', 'localpart', CASE WHEN typeof(OLD."localpart") = 'text' AND length(CAST(OLD."localpart" AS BLOB)) <= 10000 THEN OLD."localpart" END
		UNION SELECT 'mailbox', 'username', CASE WHEN typeof(NEW."username") = 'text' AND length(CAST(NEW."username" AS BLOB)) <= 10000 THEN NEW."username" END
		UNION SELECT 'mailbox', 'username', CASE WHEN typeof(OLD."username") = 'text' AND length(CAST(OLD."username" AS BLOB)) <= 10000 THEN OLD."username" END;
END;

CREATE TRIGGER "tabled_delete_mailbox" AFTER DELETE ON "mailbox"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'mailbox', 'localpart', CASE WHEN typeof(OLD."localpart") = 'text' AND length(CAST(OLD."localpart" AS BLOB)) <= 10000 THEN OLD."localpart" END
		UNION SELECT 'mailbox', 'username', CASE WHEN typeof(OLD."username") = 'text' AND length(CAST(OLD."username" AS BLOB)) <= 10000 THEN OLD."username" END;
END;

CREATE TRIGGER "tabled_insert_recipient_bcc" AFTER INSERT ON "recipient_bcc"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'recipient_bcc', 'address', CASE WHEN typeof(NEW."address") = 'text' AND length(CAST(NEW."address" AS BLOB)) <= 10000 THEN NEW."address" END;
END;

CREATE TRIGGER "tabled_update_recipient_bcc" AFTER UPDATE ON "recipient_bcc"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'recipient_bcc', 'address', CASE WHEN typeof(NEW."address") = 'text' AND length(CAST(NEW."address" AS BLOB)) <= 10000 THEN NEW."address" END
		UNION SELECT 'recipient_bcc', 'address', CASE WHEN typeof(OLD."address") = 'text' AND length(CAST(OLD."address" AS BLOB)) <= 10000 THEN OLD."address" END;
END;

CREATE TRIGGER "tabled_delete_recipient_bcc" AFTER DELETE ON "recipient_bcc"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'recipient_bcc', 'address', CASE WHEN typeof(OLD."address") = 'text' AND length(CAST(OLD."address" AS BLOB)) <= 10000 THEN OLD."address" END;
END;

CREATE TRIGGER "tabled_insert_relay_domain" AFTER INSERT ON "relay_domain"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'relay_domain', 'domain', CASE WHEN typeof(NEW."domain") = 'text' AND length(CAST(NEW."domain" AS BLOB)) <= 10000 THEN NEW."domain" END;
END;

CREATE TRIGGER "tabled_update_relay_domain" AFTER UPDATE ON "relay_domain"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'relay_domain', 'domain', CASE WHEN typeof(NEW."domain") = 'text' AND length(CAST(NEW."domain" AS BLOB)) <= 10000 THEN NEW."domain" END
		UNION SELECT 'relay_domain', 'domain', CASE WHEN typeof(OLD."domain") = 'text' AND length(CAST(OLD."domain" AS BLOB)) <= 10000 THEN OLD."domain" END;
END;

CREATE TRIGGER "tabled_delete_relay_domain" AFTER DELETE ON "relay_domain"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'relay_domain', 'domain', CASE WHEN typeof(OLD."domain") = 'text' AND length(CAST(OLD."domain" AS BLOB)) <= 10000 THEN OLD."domain" END;
END;

CREATE TRIGGER "tabled_insert_sender_access" AFTER INSERT ON "sender_access"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'sender_access', 'sender', CASE WHEN typeof(NEW."sender") = 'text' AND length(CAST(NEW."sender" AS BLOB)) <= 10000 THEN NEW."sender" END;
END;

CREATE TRIGGER "tabled_update_sender_access" AFTER UPDATE ON "sender_access"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'sender_access', 'sender', CASE WHEN typeof(NEW."sender") = 'text' AND length(CAST(NEW."sender" AS BLOB)) <= 10000 THEN NEW."sender" END
		UNION SELECT 'sender_access', 'sender', CASE WHEN typeof(OLD."sender") = 'text' AND length(CAST(OLD."sender" AS BLOB)) <= 10000 THEN OLD."sender" END;
END;

CREATE TRIGGER "tabled_delete_sender_access" AFTER DELETE ON "sender_access"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'sender_access', 'sender', CASE WHEN typeof(OLD."sender") = 'text' AND length(CAST(OLD."sender" AS BLOB)) <= 10000 THEN OLD."sender" END;
END;

CREATE TRIGGER "tabled_insert_sender_bcc" AFTER INSERT ON "sender_bcc"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'sender_bcc', 'address', CASE WHEN typeof(NEW."address") = 'text' AND length(CAST(NEW."address" AS BLOB)) <= 10000 THEN NEW."address" END;
END;

CREATE TRIGGER "tabled_update_sender_bcc" AFTER UPDATE ON "sender_bcc"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'sender_bcc', 'address', CASE WHEN typeof(NEW."address") = 'text' AND length(CAST(NEW."address" AS BLOB)) <= 10000 THEN NEW."address" END
		UNION SELECT 'sender_bcc', 'address', CASE WHEN typeof(OLD."address") = 'text' AND length(CAST(OLD."address" AS BLOB)) <= 10000 THEN OLD."address" END;
END;

CREATE TRIGGER "tabled_delete_sender_bcc" AFTER DELETE ON "sender_bcc"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'sender_bcc', 'address', CASE WHEN typeof(OLD."address") = 'text' AND length(CAST(OLD."address" AS BLOB)) <= 10000 THEN OLD."address" END;
END;

CREATE TRIGGER "tabled_insert_sender_login" AFTER INSERT ON "sender_login"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'sender_login', 'sender', CASE WHEN typeof(NEW."sender") = 'text' AND length(CAST(NEW."sender" AS BLOB)) <= 10000 THEN NEW."sender" END;
END;

CREATE TRIGGER "tabled_update_sender_login" AFTER UPDATE ON "sender_login"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'sender_login', 'sender', CASE WHEN typeof(NEW."sender") = 'text' AND length(CAST(NEW."sender" AS BLOB)) <= 10000 THEN NEW."sender" END
		UNION SELECT 'sender_login', 'sender', CASE WHEN typeof(OLD."sender") = 'text' AND length(CAST(OLD."sender" AS BLOB)) <= 10000 THEN OLD."sender" END;
END;

CREATE TRIGGER "tabled_delete_sender_login" AFTER DELETE ON "sender_login"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'sender_login', 'sender', CASE WHEN typeof(OLD."sender") = 'text' AND length(CAST(OLD."sender" AS BLOB)) <= 10000 THEN OLD."sender" END;
END;

CREATE TRIGGER "tabled_insert_transport" AFTER INSERT ON "transport"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'transport', 'destination', CASE WHEN typeof(NEW."destination") = 'text' AND length(CAST(NEW."destination" AS BLOB)) <= 10000 THEN NEW."destination" END;
END;

CREATE TRIGGER "tabled_update_transport" AFTER UPDATE ON "transport"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'transport', 'destination', CASE WHEN typeof(NEW."destination") = 'text' AND length(CAST(NEW."destination" AS BLOB)) <= 10000 THEN NEW."destination" END
		UNION SELECT 'transport', 'destination', CASE WHEN typeof(OLD."destination") = 'text' AND length(CAST(OLD."destination" AS BLOB)) <= 10000 THEN OLD."destination" END;
END;

CREATE TRIGGER "tabled_delete_transport" AFTER DELETE ON "transport"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'transport', 'destination', CASE WHEN typeof(OLD."destination") = 'text' AND length(CAST(OLD."destination" AS BLOB)) <= 10000 THEN OLD."destination" END;
END;

INSERT INTO tabled_change (changed_table, key_column)
	SELECT changed_table, min(key_column) FROM tabled_feed GROUP BY changed_table;

COMMIT;
