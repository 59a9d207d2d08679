-- From version 1 to version 2, for SQLite: what domains and aliases have besides, accounts for Dovecot, and
-- more tables. `tabledctl schema upgrade` does it, in one transaction with foreign keys off, and makes the
-- triggers of the feed anew behind it.

CREATE TABLE schema_version (
	version    INTEGER NOT NULL PRIMARY KEY,
	applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
) STRICT, WITHOUT ROWID;

INSERT INTO schema_version (version) VALUES (1);

ALTER TABLE domain ADD COLUMN backup_mx INTEGER NOT NULL DEFAULT 0 CHECK (backup_mx IN (0, 1));
ALTER TABLE domain ADD COLUMN transport TEXT CHECK (transport <> '');
ALTER TABLE domain ADD COLUMN description TEXT NOT NULL DEFAULT '';

ALTER TABLE alias ADD COLUMN expires TEXT CHECK (expires IS datetime(expires));

-- A column that is made from others and kept can't be added.
CREATE TABLE upgraded_mailbox (
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

INSERT INTO upgraded_mailbox (username, active) SELECT username, active FROM mailbox;
DROP TABLE mailbox;
ALTER TABLE upgraded_mailbox RENAME TO mailbox;
CREATE INDEX mailbox_parts ON mailbox (domain, localpart);

CREATE TABLE relay_recipient (
	address TEXT NOT NULL PRIMARY KEY CHECK (address = lower(address) AND address LIKE '%@_%'),
	active  INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TABLE tls_policy (
	destination TEXT NOT NULL PRIMARY KEY CHECK (destination = lower(destination) AND destination <> ''),
	policy      TEXT NOT NULL CHECK (policy <> ''),
	active      INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TABLE recipient_access (
	recipient TEXT NOT NULL PRIMARY KEY CHECK (recipient = lower(recipient) AND recipient <> ''),
	action    TEXT NOT NULL CHECK (action <> ''),
	active    INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TABLE rejected_tld (
	tld    TEXT NOT NULL PRIMARY KEY CHECK (tld = lower(tld) AND tld <> '' AND tld NOT LIKE '%.%'),
	action TEXT NOT NULL DEFAULT 'REJECT' CHECK (action <> ''),
	active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TABLE quota (
	username TEXT NOT NULL PRIMARY KEY REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE,
	bytes    INTEGER NOT NULL DEFAULT 0,
	messages INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE last_login (
	username   TEXT NOT NULL PRIMARY KEY REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE,
	last_login INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

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

CREATE TABLE sieve_script (
	id       INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	username TEXT NOT NULL REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE,
	name     TEXT NOT NULL CHECK (name <> ''),
	script   TEXT NOT NULL,
	UNIQUE (username, name)
) STRICT;

-- All of the domains that are relayed for, as before.
INSERT INTO relay_recipient (address) SELECT '@' || domain FROM relay_domain;
