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

COMMIT;
