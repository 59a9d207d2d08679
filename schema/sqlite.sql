-- The tables for the maps and dictionaries in postfix-maps/tabled.conf, for SQLite 3.37 and later.
--
--     sqlite3 /var/lib/tabled/mail.db < schema/sqlite.sql
--
-- Rules that hold for all tables:
--   * Postfix folds what it asks for, so keys are stored in lower case; a row in mixed case
--     would never be found, and a CHECK refuses it. Beyond ASCII, Unicode case folding counts:
--     store grüsse for grüße.
--   * An address has the form of a mail header: "john doe"@example.com with its quotes.
--   * active = 0 hides a row from Postfix without losing it.
--   * `localpart` and `domain` are made from their address, so they cannot disagree with it; as is
--     `quota_rule` from `quota`.
-- SQLite enforces foreign keys only on connections that say PRAGMA foreign_keys = ON.

PRAGMA foreign_keys = ON;

BEGIN;

-- Domains whose mail ends here, in mailboxes or by aliases.
--   * backup_mx = 1: it ends on another server, and this one keeps it while that is away. Who gets mail
--     there is in `relay_recipient`.
--   * transport is the way to all of the domain, unless `transport` (the table) has a better one.
CREATE TABLE domain (
	domain      TEXT NOT NULL PRIMARY KEY CHECK (domain = lower(domain) AND domain <> ''),
	active      INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
	backup_mx   INTEGER NOT NULL DEFAULT 0 CHECK (backup_mx IN (0, 1)),
	transport   TEXT CHECK (transport <> ''),
	description TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

-- Accounts. The user name is the address. Postfix needs no more than that; the rest is for Dovecot:
--   * password is what `doveadm pw` prints; without {SCHEME} it is a hash of crypt(3). NULL: no login.
--   * quota is in bytes, 0 for no limit.
--   * home, uid, gid and mail (its mail_location) are NULL where those of dovecot.conf hold.
--   * host is another server that has the mailbox: logins are passed on to it.
--   * allow_nets is where logins may come from: '192.0.2.0/24,2001:db8::/32'. Where all others are kept
--     out, an account may have nopassword = 1.
--   * imap_active, pop3_active, smtp_active and sieve_active = 0 refuse logins by that protocol, and
--     nothing else: mail is still delivered.
CREATE TABLE mailbox (
	username     TEXT NOT NULL PRIMARY KEY CHECK (username = lower(username) AND username LIKE '_%@%'),
	active       INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
	name         TEXT NOT NULL DEFAULT '',
	password     TEXT CHECK (password <> ''),
	nopassword   INTEGER NOT NULL DEFAULT 0 CHECK (nopassword IN (0, 1)),
	allow_nets   TEXT CHECK (allow_nets <> ''),
	imap_active  INTEGER NOT NULL DEFAULT 1 CHECK (imap_active IN (0, 1)),
	pop3_active  INTEGER NOT NULL DEFAULT 1 CHECK (pop3_active IN (0, 1)),
	smtp_active  INTEGER NOT NULL DEFAULT 1 CHECK (smtp_active IN (0, 1)),
	sieve_active INTEGER NOT NULL DEFAULT 1 CHECK (sieve_active IN (0, 1)),
	quota        INTEGER NOT NULL DEFAULT 0 CHECK (quota >= 0),
	home         TEXT CHECK (home LIKE '/_%'),
	uid          INTEGER CHECK (uid > 0),
	gid          INTEGER CHECK (gid > 0),
	mail         TEXT CHECK (mail <> ''),
	host         TEXT CHECK (host <> ''),
	localpart    TEXT NOT NULL
		GENERATED ALWAYS AS (substr(username, 1, length(rtrim(username, replace(username, '@', ''))) - 1)) STORED,
	domain       TEXT NOT NULL REFERENCES domain (domain)
		GENERATED ALWAYS AS (substr(username, length(rtrim(username, replace(username, '@', ''))) + 1)) STORED,
	quota_rule   TEXT NOT NULL GENERATED ALWAYS AS ('*:bytes=' || quota) STORED,
	CHECK (nopassword = 0 OR (password IS NULL AND allow_nets IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX mailbox_parts ON mailbox (domain, localpart);

-- Where mail for an address goes instead. Address '@example.com' is the catch-all of its domain.
-- A list has one row for each member, or one row with the members separated by commas.
-- From `expires` on, which is in UTC ('2030-12-31 23:59:59'), a row is as if it were not there.
CREATE TABLE alias (
	address   TEXT NOT NULL CHECK (address = lower(address) AND address LIKE '%@%'),
	goto      TEXT NOT NULL CHECK (goto <> ''),
	active    INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
	expires   TEXT CHECK (expires IS datetime(expires)),
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

-- Who gets mail in the domains that this server relays for or is a backup for: user@domain, or @domain for
-- all of a domain. Subdomains need rows of their own.
CREATE TABLE relay_recipient (
	address TEXT NOT NULL PRIMARY KEY CHECK (address = lower(address) AND address LIKE '%@_%'),
	active  INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) STRICT, WITHOUT ROWID;

-- How mail for a destination leaves: user@domain, domain, .domain (its subdomains) or * (all).
-- The transport is written as in transport(5): 'smtp:[relay.example.com]:587'.
CREATE TABLE transport (
	destination TEXT NOT NULL PRIMARY KEY CHECK (destination = lower(destination) AND destination <> ''),
	transport   TEXT NOT NULL CHECK (transport <> ''),
	active      INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) STRICT, WITHOUT ROWID;

-- How mail to a destination is encrypted: domain, .domain (its subdomains), or a next hop as transport(5)
-- has it: '[mail.example.com]:587'. Policies are those of smtp_tls_policy_maps: 'encrypt', 'dane-only'.
CREATE TABLE tls_policy (
	destination TEXT NOT NULL PRIMARY KEY CHECK (destination = lower(destination) AND destination <> ''),
	policy      TEXT NOT NULL CHECK (policy <> ''),
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

-- What may be sent to recipients, whoever sends it: user@domain, domain (its subdomains too) or user@.
CREATE TABLE recipient_access (
	recipient TEXT NOT NULL PRIMARY KEY CHECK (recipient = lower(recipient) AND recipient <> ''),
	action    TEXT NOT NULL CHECK (action <> ''),
	active    INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) STRICT, WITHOUT ROWID;

-- Top-level domains whose senders are rejected: 'example', without a dot. An action other than REJECT may
-- give the reason: '550 5.7.1 nobody here has ever got mail from there'.
CREATE TABLE rejected_tld (
	tld    TEXT NOT NULL PRIMARY KEY CHECK (tld = lower(tld) AND tld <> '' AND tld NOT LIKE '%.%'),
	action TEXT NOT NULL DEFAULT 'REJECT' CHECK (action <> ''),
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

-- What Dovecot writes itself, by tabled's dictionaries. Each key is a row: the first write of one of its
-- values makes it, so the others have defaults. No triggers are needed: what tabled writes it knows.

-- How much each account keeps. A value below zero has Dovecot count anew, so it is not refused.
CREATE TABLE quota (
	username TEXT NOT NULL PRIMARY KEY REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE,
	bytes    INTEGER NOT NULL DEFAULT 0,
	messages INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- When an account has logged in for the last time, in seconds since 1970.
CREATE TABLE last_login (
	username   TEXT NOT NULL PRIMARY KEY REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE,
	last_login INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Whose mailboxes others may see: what a client lists for to_user. Dovecot reads the rights themselves
-- from its ACL files. People may share with somebody who is not here, so to_user need not exist.
CREATE TABLE user_shares (
	from_user TEXT NOT NULL REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE,
	to_user   TEXT NOT NULL,
	dummy     TEXT NOT NULL DEFAULT '1',
	PRIMARY KEY (to_user, from_user)
) STRICT, WITHOUT ROWID;

CREATE INDEX user_shares_from ON user_shares (from_user);

CREATE TABLE anyone_shares (
	from_user TEXT NOT NULL PRIMARY KEY REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE,
	dummy     TEXT NOT NULL DEFAULT '1'
) STRICT, WITHOUT ROWID;

-- What IMAP clients note about mailboxes (METADATA): for themselves, and for all who see the mailbox.
-- A mailbox is known by its GUID.
CREATE TABLE private_metadata (
	username     TEXT NOT NULL REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE,
	mailbox_guid TEXT NOT NULL,
	entry        TEXT NOT NULL,
	value        TEXT NOT NULL,
	PRIMARY KEY (username, mailbox_guid, entry)
) STRICT, WITHOUT ROWID;

CREATE TABLE shared_metadata (
	mailbox_guid TEXT NOT NULL,
	entry        TEXT NOT NULL,
	value        TEXT NOT NULL,
	PRIMARY KEY (mailbox_guid, entry)
) STRICT, WITHOUT ROWID;

-- Sieve scripts. Dovecot reads them, and keeps them compiled by their id: a new text needs a new id, so
-- delete the row and insert another.
CREATE TABLE sieve_script (
	id       INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	username TEXT NOT NULL REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE,
	name     TEXT NOT NULL CHECK (name <> ''),
	script   TEXT NOT NULL,
	UNIQUE (username, name)
) STRICT;

-- Which version of these tables it is, for `tabledctl schema`: a row for each upgrade, and for the first.
CREATE TABLE schema_version (
	version    INTEGER NOT NULL PRIMARY KEY,
	applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
) STRICT, WITHOUT ROWID;

INSERT INTO schema_version (version) VALUES (2);

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
	('recipient_access', 'recipient'),
	('recipient_bcc', 'address'),
	('rejected_tld', 'tld'),
	('relay_domain', 'domain'),
	('relay_recipient', 'address'),
	('sender_access', 'sender'),
	('sender_bcc', 'address'),
	('sender_login', 'sender'),
	('tls_policy', 'destination'),
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

CREATE TRIGGER "tabled_insert_recipient_access" AFTER INSERT ON "recipient_access"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'recipient_access', 'recipient', CASE WHEN typeof(NEW."recipient") = 'text' AND length(CAST(NEW."recipient" AS BLOB)) <= 10000 THEN NEW."recipient" END;
END;

CREATE TRIGGER "tabled_update_recipient_access" AFTER UPDATE ON "recipient_access"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'recipient_access', 'recipient', CASE WHEN typeof(NEW."recipient") = 'text' AND length(CAST(NEW."recipient" AS BLOB)) <= 10000 THEN NEW."recipient" END
		UNION SELECT 'recipient_access', 'recipient', CASE WHEN typeof(OLD."recipient") = 'text' AND length(CAST(OLD."recipient" AS BLOB)) <= 10000 THEN OLD."recipient" END;
END;

CREATE TRIGGER "tabled_delete_recipient_access" AFTER DELETE ON "recipient_access"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'recipient_access', 'recipient', CASE WHEN typeof(OLD."recipient") = 'text' AND length(CAST(OLD."recipient" AS BLOB)) <= 10000 THEN OLD."recipient" END;
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

CREATE TRIGGER "tabled_insert_rejected_tld" AFTER INSERT ON "rejected_tld"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'rejected_tld', 'tld', CASE WHEN typeof(NEW."tld") = 'text' AND length(CAST(NEW."tld" AS BLOB)) <= 10000 THEN NEW."tld" END;
END;

CREATE TRIGGER "tabled_update_rejected_tld" AFTER UPDATE ON "rejected_tld"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'rejected_tld', 'tld', CASE WHEN typeof(NEW."tld") = 'text' AND length(CAST(NEW."tld" AS BLOB)) <= 10000 THEN NEW."tld" END
		UNION SELECT 'rejected_tld', 'tld', CASE WHEN typeof(OLD."tld") = 'text' AND length(CAST(OLD."tld" AS BLOB)) <= 10000 THEN OLD."tld" END;
END;

CREATE TRIGGER "tabled_delete_rejected_tld" AFTER DELETE ON "rejected_tld"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'rejected_tld', 'tld', CASE WHEN typeof(OLD."tld") = 'text' AND length(CAST(OLD."tld" AS BLOB)) <= 10000 THEN OLD."tld" END;
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

CREATE TRIGGER "tabled_insert_relay_recipient" AFTER INSERT ON "relay_recipient"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'relay_recipient', 'address', CASE WHEN typeof(NEW."address") = 'text' AND length(CAST(NEW."address" AS BLOB)) <= 10000 THEN NEW."address" END;
END;

CREATE TRIGGER "tabled_update_relay_recipient" AFTER UPDATE ON "relay_recipient"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'relay_recipient', 'address', CASE WHEN typeof(NEW."address") = 'text' AND length(CAST(NEW."address" AS BLOB)) <= 10000 THEN NEW."address" END
		UNION SELECT 'relay_recipient', 'address', CASE WHEN typeof(OLD."address") = 'text' AND length(CAST(OLD."address" AS BLOB)) <= 10000 THEN OLD."address" END;
END;

CREATE TRIGGER "tabled_delete_relay_recipient" AFTER DELETE ON "relay_recipient"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'relay_recipient', 'address', CASE WHEN typeof(OLD."address") = 'text' AND length(CAST(OLD."address" AS BLOB)) <= 10000 THEN OLD."address" END;
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

CREATE TRIGGER "tabled_insert_tls_policy" AFTER INSERT ON "tls_policy"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'tls_policy', 'destination', CASE WHEN typeof(NEW."destination") = 'text' AND length(CAST(NEW."destination" AS BLOB)) <= 10000 THEN NEW."destination" END;
END;

CREATE TRIGGER "tabled_update_tls_policy" AFTER UPDATE ON "tls_policy"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'tls_policy', 'destination', CASE WHEN typeof(NEW."destination") = 'text' AND length(CAST(NEW."destination" AS BLOB)) <= 10000 THEN NEW."destination" END
		UNION SELECT 'tls_policy', 'destination', CASE WHEN typeof(OLD."destination") = 'text' AND length(CAST(OLD."destination" AS BLOB)) <= 10000 THEN OLD."destination" END;
END;

CREATE TRIGGER "tabled_delete_tls_policy" AFTER DELETE ON "tls_policy"
BEGIN
	INSERT INTO tabled_change (changed_table, key_column, key_value)
		SELECT 'tls_policy', 'destination', CASE WHEN typeof(OLD."destination") = 'text' AND length(CAST(OLD."destination" AS BLOB)) <= 10000 THEN OLD."destination" END;
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
