-- From version 1 to version 2, for MariaDB and MySQL: what domains and aliases have besides, accounts for
-- Dovecot, and more tables. `tabledctl schema upgrade` does it, and makes the triggers of the feed anew behind
-- it. Each statement is a transaction of its own, so all of them can be repeated.

CREATE TABLE IF NOT EXISTS schema_version (
	version    INTEGER NOT NULL PRIMARY KEY,
	applied_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
) ENGINE = InnoDB;

INSERT IGNORE INTO schema_version (version) VALUES (1);

ALTER TABLE domain
	ADD COLUMN /*M! IF NOT EXISTS */ backup_mx TINYINT NOT NULL DEFAULT 0 CHECK (backup_mx IN (0, 1)),
	ADD COLUMN /*M! IF NOT EXISTS */ transport VARCHAR(512) CHECK (transport <> ''),
	ADD COLUMN /*M! IF NOT EXISTS */ description VARCHAR(255) NOT NULL DEFAULT '';

ALTER TABLE alias ADD COLUMN /*M! IF NOT EXISTS */ expires TIMESTAMP NULL;

ALTER TABLE mailbox
	ADD COLUMN /*M! IF NOT EXISTS */ name VARCHAR(255) NOT NULL DEFAULT '',
	ADD COLUMN /*M! IF NOT EXISTS */ password VARCHAR(255) CHECK (password <> ''),
	ADD COLUMN /*M! IF NOT EXISTS */ nopassword TINYINT NOT NULL DEFAULT 0 CHECK (nopassword IN (0, 1)),
	ADD COLUMN /*M! IF NOT EXISTS */ allow_nets VARCHAR(1024) CHECK (allow_nets <> ''),
	ADD COLUMN /*M! IF NOT EXISTS */ imap_active TINYINT NOT NULL DEFAULT 1 CHECK (imap_active IN (0, 1)),
	ADD COLUMN /*M! IF NOT EXISTS */ pop3_active TINYINT NOT NULL DEFAULT 1 CHECK (pop3_active IN (0, 1)),
	ADD COLUMN /*M! IF NOT EXISTS */ smtp_active TINYINT NOT NULL DEFAULT 1 CHECK (smtp_active IN (0, 1)),
	ADD COLUMN /*M! IF NOT EXISTS */ sieve_active TINYINT NOT NULL DEFAULT 1 CHECK (sieve_active IN (0, 1)),
	ADD COLUMN /*M! IF NOT EXISTS */ quota BIGINT NOT NULL DEFAULT 0 CHECK (quota >= 0),
	ADD COLUMN /*M! IF NOT EXISTS */ home VARCHAR(512) CHECK (home LIKE '/_%'),
	ADD COLUMN /*M! IF NOT EXISTS */ uid BIGINT CHECK (uid > 0),
	ADD COLUMN /*M! IF NOT EXISTS */ gid BIGINT CHECK (gid > 0),
	ADD COLUMN /*M! IF NOT EXISTS */ mail VARCHAR(512) CHECK (mail <> ''),
	ADD COLUMN /*M! IF NOT EXISTS */ host VARCHAR(255) CHECK (host <> ''),
	ADD COLUMN /*M! IF NOT EXISTS */ quota_rule VARCHAR(32) GENERATED ALWAYS AS (concat('*:bytes=', quota)) STORED,
	ADD CONSTRAINT /*M! IF NOT EXISTS */ mailbox_nopassword CHECK (nopassword = 0 OR (password IS NULL AND allow_nets IS NOT NULL));

CREATE TABLE IF NOT EXISTS relay_recipient (
	address VARCHAR(255) NOT NULL PRIMARY KEY CHECK (address = lower(address) AND address LIKE '%@_%'),
	active  TINYINT NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS tls_policy (
	destination VARCHAR(255) NOT NULL PRIMARY KEY CHECK (destination = lower(destination) AND destination <> ''),
	policy      VARCHAR(512) NOT NULL CHECK (policy <> ''),
	active      TINYINT NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS recipient_access (
	recipient VARCHAR(255) NOT NULL PRIMARY KEY CHECK (recipient = lower(recipient) AND recipient <> ''),
	action    VARCHAR(512) NOT NULL CHECK (action <> ''),
	active    TINYINT NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS rejected_tld (
	tld    VARCHAR(255) NOT NULL PRIMARY KEY CHECK (tld = lower(tld) AND tld <> '' AND tld NOT LIKE '%.%'),
	action VARCHAR(512) NOT NULL DEFAULT 'REJECT' CHECK (action <> ''),
	active TINYINT NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS quota (
	username VARCHAR(255) NOT NULL PRIMARY KEY,
	bytes    BIGINT NOT NULL DEFAULT 0,
	messages BIGINT NOT NULL DEFAULT 0,
	FOREIGN KEY (username) REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS last_login (
	username   VARCHAR(255) NOT NULL PRIMARY KEY,
	last_login BIGINT NOT NULL DEFAULT 0,
	FOREIGN KEY (username) REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS user_shares (
	from_user VARCHAR(255) NOT NULL,
	to_user   VARCHAR(255) NOT NULL,
	dummy     VARCHAR(255) NOT NULL DEFAULT '1',
	PRIMARY KEY (to_user, from_user),
	FOREIGN KEY (from_user) REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS anyone_shares (
	from_user VARCHAR(255) NOT NULL PRIMARY KEY,
	dummy     VARCHAR(255) NOT NULL DEFAULT '1',
	FOREIGN KEY (from_user) REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS private_metadata (
	username     VARCHAR(255) NOT NULL,
	mailbox_guid VARCHAR(64) NOT NULL,
	entry        VARCHAR(255) NOT NULL,
	value        MEDIUMTEXT NOT NULL,
	PRIMARY KEY (username, mailbox_guid, entry),
	FOREIGN KEY (username) REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS shared_metadata (
	mailbox_guid VARCHAR(64) NOT NULL,
	entry        VARCHAR(255) NOT NULL,
	value        MEDIUMTEXT NOT NULL,
	PRIMARY KEY (mailbox_guid, entry)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS sieve_script (
	id       BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
	username VARCHAR(255) NOT NULL,
	name     VARCHAR(255) NOT NULL CHECK (name <> ''),
	script   MEDIUMTEXT NOT NULL,
	UNIQUE (username, name),
	FOREIGN KEY (username) REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE
) ENGINE = InnoDB;

-- All of the domains that are relayed for, as before.
INSERT IGNORE INTO relay_recipient (address) SELECT concat('@', domain) FROM relay_domain;
